package selftest

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"aead.dev/minisign"
	"github.com/kballard/go-shellquote"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/version"
)

// image looks whether nodes can start with the site's images, and will believe its catalog.
func (in Input) image() []Finding {
	l := &list{about: "image"}
	for _, a := range in.arches() {
		in.imageFor(l, a)
	}
	return l.found
}

// arches are the architectures of the site's machines.
func (in Input) arches() []arch.Arch {
	if len(in.Site.Arches) == 0 {
		return []arch.Arch{arch.AMD64}
	}
	return in.Site.Arches
}

// build is how the image for an architecture is made.
func (in Input) build(a arch.Arch) string {
	build := "run: " + self.Mkimage() + " " + shellquote.Join(in.Site.Dir)
	if a != arch.AMD64 {
		build += " --arch " + string(a)
	}
	return build
}

// imageFor looks at the image for machines of one architecture.
func (in Input) imageFor(l *list, a arch.Arch) {
	folder := filepath.Join(site.ImageDir, image.Folder(a))
	dir := filepath.Join(in.Site.Dir, folder)
	build := in.build(a)
	made, err := image.ReadMade(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.problem(fmt.Sprintf("%s is missing, so there is nothing that a node of %s could start", filepath.Join(folder, image.Manifest), a), build)
		return
	case err != nil:
		l.problem(fmt.Sprintf("%s can't be judged: %v", folder, err), build)
		return
	}
	for _, err := range made.Verify(dir) {
		l.problem(fmt.Sprintf("the image is not whole, so that nodes may not start: %s", filepath.Join(folder, err.Error())), build+
			", or copy the whole folder again")
	}
	in.builtIn(l, made, build, a)
	in.release(l, made, build)
}

// key looks whether the catalog can be signed. Of keys that can't be used the site's own check tells.
func (in Input) key() []Finding {
	l := &list{about: "key"}
	secret := filepath.Join(in.Site.Dir, site.SecretKeyFile)
	_, err := in.Site.PublicKey()
	if in.Site.Original && errors.Is(err, fs.ErrNotExist) {
		return nil // both are made at the first start
	}
	switch _, err := in.Site.SecretKey(); {
	case errors.Is(err, fs.ErrNotExist):
		l.problem(secret+" does not exist, so no catalog can be signed, and the site can't be served",
			"restore it from a backup, or see what '"+self.Seeder()+" key "+shellquote.Join(in.Site.Dir)+"' can do")
	case errors.Is(err, fs.ErrPermission):
		l.note(secret+" can't be read by this user, so whether a catalog can be signed could not be tested", "run this as the user that serves the site")
	}
	return l.found
}

// builtIn compares what of the site is in the image with what it is now.
func (in Input) builtIn(l *list, made *image.Made, build string, a arch.Arch) {
	if made.SitePart == nil {
		l.warning("the image was made by an older release, which did not note for which site", build)
		return
	}
	var key minisign.PublicKey
	own, err := in.Site.PublicKey()
	if err != nil {
		return // of which the site's own check tells
	}
	if err := key.UnmarshalText([]byte(made.SitePart.PublicKey)); err != nil || !key.Equal(own) {
		l.problem(fmt.Sprintf("the image was made with another key (%016X; this site's is %016X), so every node refuses the catalog", key.ID(), own.ID()),
			build+", and write sticks and discs again; or restore the key, see: "+self.Seeder()+" key "+shellquote.Join(in.Site.Dir))
		return
	}
	again := build + ", and write sticks and discs again"
	if made.SitePart.Site != in.Site.Name {
		l.warning(fmt.Sprintf("nodes still show the site's old name %q: it is in the image", made.SitePart.Site), again)
	}
	if !slices.Equal(made.SitePart.SSHKeys, in.Site.Node.SSHKeys) {
		l.warning("node: ssh_keys was changed since the image was made, and nodes have those that were there then", again)
	}
	if !slices.Equal(made.SitePart.Passwords, in.Site.LockPasswords()) {
		l.warning("the passwords of locked menus were changed since the image was made; until nodes have the catalog, they go by those that were there then", again)
	}
	if made.Cmdline != in.Site.CmdlineFor(a).String() {
		l.warning("node: consoles or cmdline was changed since the image was made; machines that boot by PXE get the new one, but "+
			"sticks, discs and UEFI HTTP boot the one of then", again)
	}
}

// release warns of an image of another release than this seeder's. Where programs were built without make, they all call themselves
// devel, and the commit tells.
func (in Input) release(l *list, made *image.Made, build string) {
	of := made.Commands
	commit, _, changed := strings.Cut(of.Revision, "+")
	switch {
	case of.Release != in.Release && of.Release != "":
		l.warning(fmt.Sprintf("the image is of release %s, and this seeder of %s; they may not understand each other", of.Release, in.Release), build)
	case of.Release == "devel" && !changed && commit != "" && in.Revision != "" && commit != in.Revision:
		l.warning(fmt.Sprintf("the image is of the source at %.12s, and this seeder of that at %.12s; they may not understand each other",
			commit, in.Revision), build)
	}
}

// Image tells of a site's images alone what [Run] does.
func Image(s *site.Site) []Finding {
	return Input{Site: s, Release: version.Release, Revision: version.Revision()}.image()
}

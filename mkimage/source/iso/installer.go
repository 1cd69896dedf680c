package iso

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/mkimage/source"
)

// Installer is an ISO image whose boot menu starts a kernel with an initrd.
type Installer struct{}

// Name implements source.Kind.
func (Installer) Name() string { return "installer ISO" }

// Example implements source.Kind.
func (Installer) Example() source.Example {
	return source.Example{
		Source:  "debian-12-netboot.iso DIR/oss/install --entry 2",
		Becomes: "the kernel and initrd of its boot menu's default entry, or of the entries that --entry says, with their command lines (kexec)",
	}
}

// Recognise implements source.Kind.
func (Installer) Recognise(ctx context.Context, s *source.Source) (bool, error) {
	i, err := open(s)
	if i == nil || err != nil {
		return false, err
	}
	defer i.close()
	_, err = i.menu(ctx)
	return err == nil, ctx.Err()
}

// Import implements source.Kind.
func (Installer) Import(ctx context.Context, j *source.Job) error {
	i, err := open(j.Source)
	if err != nil {
		return err
	}
	defer i.close()
	return i.installers(ctx, j)
}

// installers makes a system of each entry that is asked for.
func (i *image) installers(ctx context.Context, j *source.Job) error {
	entries, err := i.menu(ctx)
	if err != nil {
		return err
	}
	chosen, err := choose(entries, j.Entries)
	if err != nil {
		return err
	}
	for at, e := range chosen {
		suffix := ""
		if len(chosen) > 1 {
			suffix = "-" + strconv.Itoa(j.Entries[at])
		}
		s, err := j.NewSystem(suffix)
		if err != nil {
			return err
		}
		s.Comments[""] = "Made by " + self.Mkimage() + " import of an entry of the boot menu of " + path.Base(j.Path) + ", which has:\n" + list(entries)
		if err := i.installer(ctx, j, s, e); err != nil {
			return err
		}
	}
	return nil
}

// installer makes a system of an entry.
func (i *image) installer(ctx context.Context, j *source.Job, s *source.System, e entry) error {
	s.Title = i.title() + ": " + e.Title
	s.Arch = e.arch
	if !slices.Contains(j.Arches(), e.arch) {
		return j.WrongArch("the kernel "+e.Kernel, e.arch)
	}
	cmdline, comment := i.installerCmdline(e)
	s.Kexec = &source.Kexec{Cmdline: cmdline}
	s.Comments["cmdline"] = comment
	names := map[string]bool{}
	copied := func(file string) (string, error) {
		name := fileName(file, names)
		r, size, err := i.opened(file)
		if err != nil {
			return "", err
		}
		return name, j.CopyFile(ctx, s, name, r, size, file+" of the ISO")
	}
	var err error
	if s.Kexec.Kernel, err = copied(e.Kernel); err != nil {
		return err
	}
	for _, file := range e.Initrd {
		name, err := copied(file)
		if err != nil {
			return err
		}
		s.Kexec.Initrd = append(s.Kexec.Initrd, name)
	}
	return nil
}

// fileName is the name that a file of an image gets in a system's folder: its own, as far as that can be a file's there, and once.
func fileName(file string, taken map[string]bool) string {
	name := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._+-", r) {
			return r
		}
		return '_'
	}, path.Base(file))
	name = strings.TrimLeft(name, ".")
	if name == "" || len(name) > 100 {
		name = "image"
	}
	first := name
	for n := 2; taken[name] || name == "config.yaml"; n++ {
		name = strconv.Itoa(n) + "-" + first
	}
	taken[name] = true
	return name
}

// installerCmdline is an entry's command line without what only makes sense where the boot loader filled something in, and what a
// person should know of it.
func (i *image) installerCmdline(e entry) (cmdline, comment string) {
	cmdline = keepWords(e.Cmdline, func(key, value string, has bool) bool {
		return !(has && value == "" && (key == "findiso" || key == "iso-scan/filename")) && !strings.Contains(key+value, "{{")
	})
	return cmdline, i.wants(cmdline)
}

// wants says what an installer needs beside its kernel and initrd, and what to write for that.
func (i *image) wants(cmdline string) string {
	const disc = ", which machines don't have that start from the network. "
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(" "+cmdline, p) })
	}
	switch {
	case has("inst.stage2=hd:", "inst.repo=hd:"):
		return "This installer looks for the rest of itself on a disc called as after LABEL=" + disc +
			"Put the files of the ISO on a web server, and write instead of inst.stage2=…: inst.repo=http://SERVER/FOLDER/"
	case has(" fetch=", " httpfs=", " url=", " netboot=", " archiso_http_srv=", " modloop=http", " install=", " inst.repo=", " root=live:http"):
		return ""
	case i.isFolder("casper"):
		return "This initrd looks for the rest of the system on a disc" + disc +
			"Put the ISO on a web server, and write before ---: ip=dhcp url=http://SERVER/NAME.iso (machines need memory for all of it)"
	case has(" boot=live"):
		return "This initrd looks for the root file system on a disc" + disc +
			"Put that on a web server, and add: fetch=http://SERVER/filesystem.squashfs; or import the ISO without --entry"
	case i.isFolder("dists") && i.isFolder("pool"):
		return "The initrd of this ISO looks for packages on a disc" + disc +
			"Debian's netboot.tar.gz (package debian-installer-12-netboot-amd64) has one that asks a mirror: replace initrd and kernel by those."
	case i.isFolder("boot/x86_64/loader"):
		return "This installer asks for its repository; to give it one, add: install=http://SERVER/FOLDER/ (the files of the ISO on a web server)."
	case i.isFolder("apks"):
		return "This initrd looks for its packages on a disc" + disc +
			"Put the files of the ISO on a web server, and add: ip=dhcp alpine_repo=http://SERVER/FOLDER/apks modloop=http://SERVER/FOLDER/boot/modloop-lts"
	case has("CDLABEL=", " root=LABEL=", " root=/dev/disk/by-", " archiso"):
		return "This initrd looks for the ISO as a disc" + disc + "See its documentation for how it starts from the network."
	}
	return ""
}

// keepWords is a command line with the words that keep says yes to. A word in quotes is one word.
func keepWords(cmdline string, keep func(key, value string, has bool) bool) string {
	var out []string
	for _, w := range words(cmdline) {
		key, value, has := strings.Cut(strings.Trim(w, `"`), "=")
		if keep(key, value, has) {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

// words are the words of a kernel's command line, with their quotes (Linux, lib/cmdline.c, next_arg).
func words(cmdline string) []string {
	quoted := false
	return strings.FieldsFunc(cmdline, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && (r == ' ' || r == '\t')
	})
}

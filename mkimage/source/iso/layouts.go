package iso

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/rootimage"
)

// glob are the files and folders of a pattern, sorted.
func (i *image) glob(pattern string) ([]string, error) { return fs.Glob(i, pattern) }

// checkImage refuses what is no image of a file system, by its content.
func (i *image) checkImage(name string) error {
	f, err := i.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r, ok := f.(io.ReaderAt)
	if !ok || !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	_, err = rootimage.Read(r, info.Size())
	return err
}

// debian is the layout of live-boot (components/9990-overlay.sh): in /live are images, all of them in the order of their names, or those
// that a file NAME.module lists, lowest first.
func (i *image) debian(_ context.Context, entries []entry) (*layout, error) {
	entries = startedBy(entries, "boot=live")
	dir := cleanPath(value(entries, "live-media-path"), "live")
	if !i.isFolder(dir) {
		return nil, nil
	}
	l := &layout{
		name: "Debian live", entries: entries, kernels: []string{dir + "/vmlinuz*", "boot/vmlinuz*"}, needs: []string{"boot=live", "components"},
		why: "Of the ISO's command line, what the running system reads: live-config makes the user and sets the language when it finds boot=live and components.",
	}
	module := value(entries, "module")
	if module == "" {
		module = "filesystem"
	}
	for _, list := range []string{"filesystem." + module + ".module", module + ".module"} {
		b, err := i.small(path.Join(dir, list))
		if err != nil {
			continue
		}
		for name := range strings.FieldsSeq(string(b)) {
			l.images = append(l.images, path.Join(dir, path.Base(name)))
		}
		break
	}
	if len(l.images) == 0 {
		for _, ending := range []string{"squashfs", "ext2", "ext3", "ext4"} {
			found, err := i.glob(dir + "/*." + ending)
			if err != nil {
				return nil, err
			}
			l.images = append(l.images, found...)
		}
		slices.Sort(l.images)
	}
	if len(l.images) == 0 {
		return nil, nil
	}
	return l, i.checkImages(l)
}

// checkImages refuses images that are not there, or none.
func (i *image) checkImages(l *layout) error {
	for _, name := range l.images {
		if !i.isFile(name) {
			return fmt.Errorf("the live system is of several layers, and %s is not on the ISO; get the ISO again", name)
		}
		if err := i.checkImage(name); err != nil {
			return fmt.Errorf("%s of the ISO: %w; get the ISO again", name, err)
		}
	}
	return nil
}

// cleanPath is a folder of the ISO as a command line names it, or the usual one.
func cleanPath(p, usual string) string {
	if p = strings.Trim(path.Clean("/"+p), "/"); p == "" {
		return usual
	}
	return p
}

// arch is the layout of mkarchiso: BASE/x86_64/airootfs.sfs or .erofs.
func (i *image) arch(_ context.Context, entries []entry) (*layout, error) {
	entries = startedBy(entries, "archisobasedir=", "archisodevice=", "archisolabel=", "archisosearchuuid=")
	base := cleanPath(value(entries, "archisobasedir"), "arch")
	for _, name := range []string{"airootfs.sfs", "airootfs.erofs"} {
		file := path.Join(base, "x86_64", name)
		if !i.isFile(file) {
			continue
		}
		l := &layout{
			name: "Arch Linux", images: []string{file}, entries: entries, kernels: []string{base + "/boot/x86_64/vmlinuz*"},
			why: "Of the ISO's command line, what is not for the ISO's own initramfs.",
		}
		return l, i.checkImages(l)
	}
	return nil, nil
}

// liveOS is the layout of dracut's dmsquash-live and of kiwi's kiwi-live: LiveOS/squashfs.img has the root file system itself (squashfs or
// erofs), or an ext4 image of it.
func (i *image) liveOS(_ context.Context, entries []entry) (*layout, error) {
	entries = startedBy(entries, "rd.live.image", "rd.live.dir=", "rd.live.squashimg=", "rd.kiwi.live.pxe")
	dir := cleanPath(value(entries, "rd.live.dir"), "LiveOS")
	image := value(entries, "rd.live.squashimg")
	if image == "" {
		image = "squashfs.img"
	}
	l := &layout{
		name: "Fedora, openSUSE and others with dracut", entries: entries, nests: true, needs: []string{"rd.live.image"},
		kernels: []string{"images/pxeboot/vmlinuz*", "isolinux/vmlinuz*", "boot/x86_64/loader/linux*", "boot/vmlinuz*"},
		why:     "Of the ISO's command line, what the running system reads: Fedora's livesys makes the user when it finds rd.live.image.",
	}
	for _, name := range []string{path.Join(dir, path.Base(image)), path.Join(dir, "rootfs.img"), path.Join(dir, "ext3fs.img")} {
		if !i.isFile(name) {
			continue
		}
		l.images = []string{name}
		return l, i.checkImages(l)
	}
	return nil, nil
}

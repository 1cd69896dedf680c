// Package local finds what is installed on the machine's own disks (method local): in go the kernel's disks and the drivers of file systems,
// out come the Linux kernels that their boot loaders would start ([Found.Entries]), whether the firmware has something to start, and in
// words what is there instead.
//
// Nothing is written: disks are set read-only in the kernel before they are looked at (BLKROSET), and mounted without replaying a journal.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/bootmenu"
)

// Entry is a Linux kernel on a disk.
type Entry struct {
	bootmenu.Entry
	// Device is the kernel's name of the partition that it is on: sda2.
	Device string
	// Missing is the file that it names and that isn't there; empty: all are.
	Missing string

	root *os.Root
}

// Open opens a file of the entry: its kernel, or an initrd.
func (e Entry) Open(name string) (*os.File, error) {
	f, err := e.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", name, e.Device, err)
	}
	return f, nil
}

// Found is what was found on the disks. Close it.
type Found struct {
	// Entries are in the order of the disks and of the menus on them; Default is one of them, the first that can be started if the first
	// menu's default can't, or -1.
	Entries []Entry
	Default int
	// Firmware says that the firmware may have something to start: code in a disk's first sector (BIOS), or an EFI system partition.
	Firmware bool
	// Doubtful says that some of it is not as one would expect: a configuration that can't be read, a system without one.
	Doubtful bool
	// Notes say of each disk and partition without an entry what is there.
	Notes []string
	// Partitions are the numbers and beginnings of all partitions seen.
	Partitions []Partition

	close []func()
}

// Partition is where a partition is: its number on its disk, and its first block.
type Partition struct {
	Number uint32
	Start  uint64
}

// Close unmounts everything, and makes the disks writable again.
func (f *Found) Close() {
	for _, c := range slices.Backward(f.close) {
		c()
	}
	f.close = nil
}

// Has reports whether a partition was seen.
func (f *Found) Has(number uint32, start uint64) bool {
	return slices.Contains(f.Partitions, Partition{number, start})
}

// notef notes something about a device, doubtf something that is not as one would expect.
func (f *Found) notef(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

func (f *Found) doubtf(format string, args ...any) {
	f.notef(format, args...)
	f.Doubtful = true
}

// Scan looks at all disks of the machine that are not removable. What it mounts is below dir, which it makes.
func Scan(ctx context.Context, dir string) (*Found, error) { return running.scan(ctx, dir) }

func (m machine) scan(ctx context.Context, dir string) (*Found, error) {
	f := &Found{Default: -1}
	disks, err := m.disks()
	if err != nil {
		return f, err
	}
	if len(disks) == 0 {
		f.notef("no disk was found in this machine")
	}
	for _, d := range disks {
		if err := ctx.Err(); err != nil {
			f.Close()
			return f, err
		}
		f.lookAt(ctx, m, d, dir)
	}
	f.settle()
	return f, nil
}

// settle finds the default.
func (f *Found) settle() {
	first := func(ok func(Entry) bool) int { return slices.IndexFunc(f.Entries, ok) }
	f.Default = first(func(e Entry) bool { return e.Default })
	if f.Default >= 0 && f.Entries[f.Default].Missing != "" {
		f.Default = first(func(e Entry) bool { return e.Default && e.Missing == "" })
	}
}

// lookAt looks at a disk: at its partitions, or at itself if it has none.
func (f *Found) lookAt(ctx context.Context, m machine, d disk, dir string) {
	f.close = append(f.close, readOnly(m.path(d.name)))
	boots, err := hasBootCode(m.path(d.name))
	if err != nil {
		f.doubtf("%s can't be read: %v", d, err)
		return
	}
	f.Firmware = f.Firmware || boots
	volumes := d.partitions
	if len(volumes) == 0 {
		volumes = []volume{{name: d.name}}
	}
	empty := len(d.partitions) == 0
	for _, v := range volumes {
		if v.name != d.name {
			f.Partitions = append(f.Partitions, Partition{v.number, v.start})
			f.close = append(f.close, readOnly(m.path(v.name)))
		}
		kind, err := identify(m.path(v.name))
		switch {
		case err != nil:
			f.doubtf("%s can't be read: %v", v.name, err)
		case kind.name == "" && empty:
			f.notef("%s has no partitions and no file system on it", d)
		case kind.mounts:
			f.mount(ctx, m, v.name, kind.name, dir)
		case kind.closed:
			f.doubtf("%s %s", v.name, kind.means)
		case kind.means != "":
			f.notef("%s %s", v.name, kind.means)
		}
	}
}

// mount mounts a file system, and reads the menu on it.
func (f *Found) mount(ctx context.Context, m machine, name, kind, dir string) {
	at := filepath.Join(dir, name)
	unmount, err := mount(m.path(name), at, kind)
	if err != nil {
		f.doubtf("%s (%s) can't be mounted: %v", name, kind, err)
		return
	}
	root, err := os.OpenRoot(at)
	if err != nil {
		unmount()
		f.doubtf("%s (%s) can't be read: %v", name, kind, err)
		return
	}
	f.close = append(f.close, unmount, func() { root.Close() })
	f.read(ctx, name, kind, root)
}

// read reads the menu of a file system.
func (f *Found) read(ctx context.Context, name, kind string, root *os.Root) {
	fsys := root.FS()
	if kind == "vfat" && hasLoaders(fsys) {
		f.Firmware = true
	}
	menu, err := bootmenu.OnDisk(ctx, fsys)
	switch {
	case errors.Is(err, bootmenu.ErrNone):
		if found := bootmenu.Configurations(fsys); len(found) > 0 {
			f.doubtf("%s: %s names no Linux kernel to start", name, strings.Join(found, ", "))
		} else if isSystem(fsys) {
			f.doubtf("%s (%s) has a system on it, but no configuration of a boot loader", name, kind)
		}
		return
	case err != nil:
		f.doubtf("%s: the boot loader's configuration can't be read: %v", name, err)
		return
	}
	for _, e := range menu.Entries {
		f.Entries = append(f.Entries, Entry{Entry: e, Device: name, Missing: missing(fsys, e), root: root})
	}
}

// missing is the first of an entry's files that isn't there.
func missing(fsys fs.FS, e bootmenu.Entry) string {
	for _, name := range append([]string{e.Kernel}, e.Initrd...) {
		if info, err := fs.Stat(fsys, name); err != nil || !info.Mode().IsRegular() {
			return name
		}
	}
	return ""
}

// hasLoaders reports whether a FAT file system is an EFI system partition with something on it (UEFI 2.10, section 13.3).
func hasLoaders(fsys fs.FS) bool {
	for _, pattern := range []string{"[Ee][Ff][Ii]/*/*.[Ee][Ff][Ii]", "[Ee][Ff][Ii]/*/*/*.[Ee][Ff][Ii]"} {
		if found, _ := fs.Glob(fsys, pattern); len(found) > 0 {
			return true
		}
	}
	return false
}

// isSystem reports whether a file system is a Linux system's root.
func isSystem(fsys fs.FS) bool {
	_, err := fs.Stat(fsys, "etc")
	_, err2 := fs.Stat(fsys, "usr")
	return err == nil && err2 == nil
}

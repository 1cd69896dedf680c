// Package bootmenu reads what the boot loader of a medium would show: the Linux kernels in the configuration of GRUB, of isolinux and
// syslinux, or in files of the Boot Loader Specification. In goes the file system of a medium ([Read]) or of a disk ([OnDisk]), out come entries. The files are foreign: what
// they say is bounded, and nothing they name is opened but configuration.
//
// u-root v0.16 has such readers too (pkg/boot/grub, syslinux, bls), the referees of this package's tests. They take simple
// files; of those on real media they lose the second initrd, variables, submenus, conditions, "source" and "menu include".
package bootmenu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Limits of what is read.
const (
	maxFile    = 1 << 20 // bytes of a configuration file
	maxFiles   = 200     // of one menu
	maxEntries = 500
	maxNesting = 32
	maxSteps   = 20_000   // commands of a GRUB script
	maxText    = 64 << 10 // bytes of a word or variable
)

// Entry is a Linux kernel that the menu offers.
type Entry struct {
	Title string
	// Kernel and Initrd are paths of the medium, without a slash at the beginning. Whether they are there is not known.
	Kernel string
	Initrd []string
	// Cmdline is the kernel's command line, without initrd= and BOOT_IMAGE=.
	Cmdline string
	// Default says that it is started when nobody chooses.
	Default bool
	// id is the name of its file (Boot Loader Specification), without .conf.
	id string
}

// Menu is what is in one configuration.
type Menu struct {
	// File is the configuration's path.
	File    string
	Entries []Entry
}

// ErrNone means that no configuration has a Linux kernel in it.
var ErrNone = errors.New("no boot menu with a Linux kernel was found: neither GRUB's, nor isolinux's, nor one of the Boot Loader Specification")

// grubFiles and syslinuxFiles are where the configurations are, of more and less usual media; patterns of package path.
var (
	grubFiles = []string{
		"boot/grub/grub.cfg", "boot/grub2/grub.cfg", "EFI/BOOT/grub.cfg", "efi/boot/grub.cfg", "EFI/*/grub.cfg", "grub/grub.cfg", "grub2/grub.cfg",
		"boot/grub/x86_64-efi/grub.cfg", "boot/grub/loopback.cfg",
	}
	syslinuxFiles = []string{
		"isolinux/isolinux.cfg", "boot/isolinux/isolinux.cfg", "syslinux/isolinux.cfg", "boot/x86_64/loader/isolinux.cfg", "isolinux.cfg",
		"syslinux/syslinux.cfg", "boot/syslinux/syslinux.cfg", "*/boot/syslinux/syslinux.cfg", "syslinux.cfg", "isolinux/syslinux.cfg",
	}
)

// Read reads the first configuration that has a Linux kernel with an initrd in it. In the menu is one default.
func Read(ctx context.Context, fsys fs.FS) (*Menu, error) {
	return read(ctx, fsys, menuKinds(grubFiles, syslinuxFiles, []string{blsFolder, "boot/" + blsFolder}), false)
}

// menuKind is a kind of configuration: where it may be, as patterns of package path, and who reads it.
type menuKind struct {
	patterns []string
	read     func(context.Context, *files, string) ([]Entry, error)
}

func menuKinds(grub, syslinux, bls []string) []menuKind {
	return []menuKind{{grub, readGRUB}, {syslinux, readSyslinux}, {bls, readBLS}}
}

// read returns the first menu that has something to start.
func read(ctx context.Context, fsys fs.FS, kinds []menuKind, disk bool) (*Menu, error) {
	var wrong error
	try := func(name string, read func(context.Context, *files, string) ([]Entry, error)) (*Menu, error) {
		entries, err := guard(ctx, read, &files{fsys: fsys, disk: disk}, name)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w", name, err))
		}
		if entries = tidy(entries, disk); len(entries) == 0 {
			return nil, nil
		}
		return &Menu{name, entries}, nil
	}
	for _, kind := range kinds {
		for _, pattern := range kind.patterns {
			names, err := fs.Glob(fsys, pattern)
			if err != nil {
				return nil, err
			}
			for _, name := range names[:min(len(names), maxFiles)] {
				if m, err := try(name, kind.read); m != nil || err != nil {
					return m, err
				}
			}
		}
	}
	if wrong != nil {
		return nil, wrong
	}
	return nil, ErrNone
}

// guard makes an error of a panic: the files are foreign, and a mistake of a reader is to cost one menu at most.
func guard(ctx context.Context, read func(context.Context, *files, string) ([]Entry, error), f *files, name string) (entries []Entry, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it can't be read: %v", r)
		}
	}()
	return read(ctx, f, name)
}

// tidy keeps what can be started, and sees to it that one of them is the default. Kernels on disks may do without an initrd.
func tidy(entries []Entry, disk bool) []Entry {
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.Kernel == "" || len(e.Initrd) == 0 && !disk || isTest(e) })
	for i := range entries {
		entries[i].Cmdline = withoutWords(entries[i].Cmdline, "initrd", "BOOT_IMAGE")
		entries[i].Title = strings.Join(strings.Fields(entries[i].Title), " ")
		if entries[i].Title == "" {
			entries[i].Title = path.Base(entries[i].Kernel)
		}
	}
	if len(entries) > 0 && !slices.ContainsFunc(entries, func(e Entry) bool { return e.Default }) {
		entries[0].Default = true
	}
	return entries
}

// isTest reports whether an entry tests the memory instead of starting Linux.
func isTest(e Entry) bool {
	for _, s := range []string{e.Title, path.Base(e.Kernel)} {
		s = strings.ToLower(s)
		if strings.Contains(s, "memtest") || strings.Contains(s, "mt86plus") {
			return true
		}
	}
	return false
}

// withoutWords is a command line without the words KEY=VALUE of some keys.
func withoutWords(cmdline string, keys ...string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(cmdline), func(word string) bool {
		key, _, has := strings.Cut(word, "=")
		return has && slices.Contains(keys, key)
	}), " ")
}

// files reads the configuration files of a menu.
type files struct {
	fsys fs.FS
	// disk says that it is an installed system's.
	disk bool
	read int
}

var errTooMuch = errors.New("the boot menu is larger than any that a person could read")

func (f *files) file(name string) (string, error) {
	if f.read++; f.read > maxFiles {
		return "", errTooMuch
	}
	file, err := f.fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than any configuration", name)
	}
	return string(b), err
}

// inMedium is a path of a configuration as one of the medium: without a device in parentheses, and not out of it. What is relative is so
// to dir.
func inMedium(p, dir string) string {
	if strings.HasPrefix(p, "(") {
		_, p, _ = strings.Cut(p, ")")
		p = "/" + p
	}
	if !strings.HasPrefix(p, "/") {
		p = path.Join("/", dir, p)
	}
	return strings.TrimPrefix(path.Clean(p), "/")
}

// pathOf is an entry's title behind those of the submenus that it is in. Dots that lead from one to another are left out, as Debian's
// "Advanced options ..." and "... Expert install" have them.
func pathOf(titles []string) string {
	var plain []string
	for _, t := range titles {
		plain = append(plain, strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(t), "..."), "...")))
	}
	return strings.Join(plain, " > ")
}

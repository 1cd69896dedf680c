package bootmenu

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"strings"
)

// Where installed systems have their configurations; a leading folder is a subvolume of btrfs. What is in the folder EFI is left out: there GRUB has a
// few lines that lead to the configuration on another partition.
var (
	diskGRUBFiles = []string{
		"boot/grub/grub.cfg", "boot/grub2/grub.cfg", "grub/grub.cfg", "grub2/grub.cfg", "@*/boot/grub/grub.cfg", "@*/boot/grub2/grub.cfg",
		"root/boot/grub2/grub.cfg",
	}
	diskSyslinuxFiles = []string{
		"boot/syslinux/syslinux.cfg", "boot/extlinux/extlinux.conf", "syslinux/syslinux.cfg", "extlinux/extlinux.conf", "extlinux.conf", "syslinux.cfg",
	}
	diskBLSFolders = []string{blsFolder, "boot/" + blsFolder, "efi/" + blsFolder}
)

// OnDisk reads the first configuration of an installed system, in one of its file systems, that starts a Linux kernel. Other than on a
// medium, the choice that GRUB keeps in its environment counts, the newest entry of the Boot Loader Specification comes first, and a
// kernel needs no initrd.
func OnDisk(ctx context.Context, fsys fs.FS) (*Menu, error) {
	return read(ctx, fsys, menuKinds(diskGRUBFiles, diskSyslinuxFiles, diskBLSFolders), true)
}

// Configurations are the files on a disk's file system that may be a boot loader's configuration.
func Configurations(fsys fs.FS) (found []string) {
	for _, kind := range menuKinds(diskGRUBFiles, diskSyslinuxFiles, diskBLSFolders) {
		for _, pattern := range kind.patterns {
			names, _ := fs.Glob(fsys, pattern)
			found = append(found, names...)
		}
	}
	return found
}

// loadEnvironment reads GRUB's environment block ("Environment block" in GRUB's manual) as load_env does. What is for one boot only
// (next_entry) GRUB removes when it has read it, which is not ours to do, so it does not count.
func (g *grubReader) loadEnvironment(args []string) {
	name := path.Join(g.variables["prefix"], "grubenv")
	for i, a := range args {
		if file, ok := strings.CutPrefix(a, "--file="); ok {
			name = file
		} else if (a == "-f" || a == "--file") && i+1 < len(args) {
			name = args[i+1]
		}
	}
	text, err := g.files.file(g.path(name))
	if err != nil {
		return
	}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "=")
		if ok && !strings.HasPrefix(line, "#") && name != "next_entry" && len(g.variables) < maxSteps {
			g.variables[name] = value
		}
	}
}

// compareVersions orders names with version numbers in them: runs of digits by their value, all else by its characters.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		x, y := run(a), run(b)
		a, b = a[len(x):], b[len(y):]
		if isDigit(x[0]) && isDigit(y[0]) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
				return c
			}
			continue
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// run is what s begins with: as many digits, or other characters, as there are.
func run(s string) string {
	n := 1
	for n < len(s) && isDigit(s[n]) == isDigit(s[0]) {
		n++
	}
	return s[:n]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

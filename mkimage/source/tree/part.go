package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadPart reads the names and attributes of a root file system that is in a file or block device: size bytes from offset on, 0 for all. It
// is mounted read-only, which needs root and a kernel that knows it; see [CantMount]. fileSystem is the kernel's name of it. Of a btrfs with
// subvolumes it is the one that distributions have the root in.
func ReadPart(ctx context.Context, file, fileSystem string, offset, size int64, l Limits) (*Tree, error) {
	m, err := mountImage(ctx, file, fileSystem, offset, size)
	if err != nil {
		return nil, err
	}
	dir := m.dir()
	if fileSystem == "btrfs" {
		dir = subvolume(dir)
	}
	t, err := ReadFolder(ctx, dir, l)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	t.bytes = above{t.bytes, m}
	return t, nil
}

// subvolume finds the root file system in a btrfs: at its top, or in the subvolume of Ubuntu and openSUSE, Debian, or Fedora.
func subvolume(top string) string {
	for _, name := range []string{"", "@", "@rootfs", "root"} {
		dir := filepath.Join(top, name) + "/."
		if _, err := os.Lstat(filepath.Join(dir, "etc")); err == nil {
			return dir
		}
	}
	return top
}

// above is a source that stands on something else, which is closed after it.
type above struct {
	source
	below io.Closer
}

func (a above) close() error { return errors.Join(a.source.close(), a.below.Close()) }

// CantMount reports whether an error says that this user, or this machine's kernel, can't mount, whatever is to be mounted.
func CantMount(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENODEV) || errors.Is(err, fs.ErrNotExist)
}

// IsRoot reports whether a tree looks like a root file system.
func (t *Tree) IsRoot() bool {
	for _, init := range Inits {
		if t.Has(init) {
			return true
		}
	}
	return false
}

// IsRoot reports whether what was opened looks like a root file system.
func (r *Root) IsRoot() bool { return r.tree.IsRoot() }

// deviceMounts are the lines of an fstab(5) that mount other file systems than the root from a device, or use one as swap.
func deviceMounts(fstab []byte) (lines []string) {
	for line := range strings.Lines(string(fstab)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || strings.HasPrefix(fields[0], "#") || fields[1] == "/" || strings.Contains(strings.Join(fields[3:], ","), "nofail") {
			continue
		}
		device := strings.HasPrefix(fields[0], "/dev/")
		for _, tag := range []string{"UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="} {
			device = device || strings.HasPrefix(fields[0], tag)
		}
		if device {
			lines = append(lines, fmt.Sprintf("%s at %s", fields[0], fields[1]))
		}
	}
	return lines
}

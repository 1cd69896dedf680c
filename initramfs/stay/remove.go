package stay

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotInitramfs says that a root file system is not one that the kernel unpacked an initramfs into, which lives in memory.
var ErrNotInitramfs = errors.New("it is neither a ramfs nor a tmpfs")

// removeRoot empties a root file system that lives in memory, so that its memory is free: everything but what is mounted there. It
// follows no links, and goes on where something can't be removed.
func removeRoot(path string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	if fs.Type != unix.RAMFS_MAGIC && fs.Type != unix.TMPFS_MAGIC {
		return fmt.Errorf("remove what is on %s: %w", path, ErrNotInitramfs)
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return &os.PathError{Op: "fstat", Path: path, Err: err}
	}
	return empty(dir, uint64(st.Dev))
}

// empty removes what is in a folder and on the device.
func empty(dir *os.File, device uint64) error {
	var errs []error
	for {
		// File systems in memory list every name once, whatever is removed meanwhile.
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			errs = append(errs, remove(dir, name, device))
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		}
	}
}

// remove removes a file of a folder, or a folder in it with all that is in there, if it is on the device.
func remove(dir *os.File, name string, device uint64) error {
	var st unix.Stat_t
	at := int(dir.Fd())
	if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "fstatat", Path: name, Err: err}
	}
	switch {
	case uint64(st.Dev) != device:
		return nil // something is mounted there
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		if err := unix.Unlinkat(at, name, 0); err != nil && !errors.Is(err, unix.EBUSY) {
			return &os.PathError{Op: "unlinkat", Path: name, Err: err}
		}
		return nil
	}
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "openat", Path: name, Err: err}
	}
	inner := os.NewFile(uintptr(fd), name)
	err = errors.Join(empty(inner, device), inner.Close())
	// A folder in which something is mounted, or is below it, stays.
	if rm := unix.Unlinkat(at, name, unix.AT_REMOVEDIR); rm != nil && !errors.Is(rm, unix.EBUSY) && !errors.Is(rm, unix.ENOTEMPTY) {
		err = errors.Join(err, &os.PathError{Op: "rmdir", Path: name, Err: rm})
	}
	return err
}

package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// openness says whether somebody has a file open for writing.
type openness int

const (
	// unknown: the kernel doesn't tell. The file belongs to another user and this one has no CAP_LEASE, or it is not on a disk of
	// this machine.
	unknown openness = iota
	closed
	open
)

// leasing are the types of file systems whose leases are the kernel's own business (statfs(2)). On others, such as NFS, a lease is
// refused for more reasons than that somebody writes.
var leasing = []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.F2FS_SUPER_MAGIC,
	unix.OVERLAYFS_SUPER_MAGIC}

// opennessOf asks for a lease on a file, which the kernel refuses as long as anybody has it open for writing (fcntl(2), F_SETLEASE),
// and gives it back at once.
func opennessOf(path string) openness {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return closed // it is gone, or something else by now
	}
	if err != nil {
		return unknown
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil || !slices.Contains(leasing, int64(st.Type)) {
		return unknown
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return open
	case err != nil:
		return unknown
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	if err != nil {
		return unknown
	}
	return closed
}

// maxSearched is how many files of a folder are asked about; a system has fewer.
const maxSearched = 200_000

// openFile returns a file of a system's folder that somebody has open for writing, as far as the kernel tells; empty if there is none.
func openFile(dir string, belongs func(path string) bool) (found string) {
	searched := 0
	_ = eachFile(dir, belongs, func(path string, d fs.DirEntry) error {
		if searched++; searched > maxSearched {
			return fs.SkipAll
		}
		if opennessOf(path) == open {
			found = path
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// eachFile calls f for the regular files in a system's folder that may belong to it.
func eachFile(dir string, belongs func(path string) bool, f func(path string, d fs.DirEntry) error) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	return filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
		switch name, _ := filepath.Rel(real, path); {
		case err != nil:
			return nil
		case name != "." && !belongs(name):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return f(path, d)
	})
}

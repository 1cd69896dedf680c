package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Size is what a store takes.
type Size struct {
	// Versions is how many are stored.
	Versions int
	// Bytes is the disk space of the store's files, and Free what is left for this user on their file system. Blocks that a copy shares
	// with its original count as well: the kernel doesn't tell them apart cheaply.
	Bytes, Free int64
}

// Size looks at every file of the store.
func (s *Store) Size() (size Size, err error) {
	known, err := s.index.versions()
	if err != nil {
		return size, err
	}
	size, err = SizeOf(s.dir)
	size.Versions = len(known)
	return size, err
}

// SizeOf looks at every file below a folder; it knows of no versions. A file with several names counts once.
func SizeOf(dir string) (size Size, err error) {
	linked := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a version is being removed
		}
		if err != nil {
			return err
		}
		if info, err := e.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok && !(info.Mode().IsRegular() && st.Nlink > 1 && linked[st.Ino]) {
				linked[st.Ino] = true
				size.Bytes += st.Blocks * 512 // stat(2)
			}
		}
		return nil
	})
	if err != nil {
		return size, fmt.Errorf("the store's size: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return size, fmt.Errorf("the store's file system: %w", err)
	}
	size.Free = int64(st.Bavail) * st.Bsize
	return size, nil
}

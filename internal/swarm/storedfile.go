package swarm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// storedFile is a file of a store.
type storedFile struct {
	store *store
	// index is its place in the torrent's list, offset where it begins in the torrent, size its length, both in bytes.
	index        int
	offset, size int64
	// held is the file if somebody else opened it and keeps it open; else it is opened by its path when it is used.
	held *os.File
	// identity is what a complete file was when it was seeded.
	identity identity
}

// identity tells a file from another of its name, and from what it is after it was written to.
type identity struct {
	device, inode uint64
	modified      unix.Timespec
}

func (f *storedFile) path() string {
	l := f.store.layout
	return filepath.Join(f.store.dir, l.name, filepath.FromSlash(l.files[f.index].Path))
}

// use calls do with the file, which is opened if it is not.
func (f *storedFile) use(do func(*os.File) error) error {
	if f.held != nil {
		return do(f.held)
	}
	return f.store.cache.use(f, do)
}

// open opens the file: to read if all of it is here, else to read and write.
func (f *storedFile) open() (*os.File, error) {
	if !f.store.readOnly {
		if f.store.sealed.Load() {
			return os.Open(f.path())
		}
		return os.OpenFile(f.path(), os.O_RDWR, 0)
	}
	file, err := os.Open(f.path())
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(file.Fd()), &st); err == nil {
		err = f.check(&st)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// identify notes what a complete file is. It is an error if it isn't what the torrent says.
func (f *storedFile) identify() error {
	var st unix.Stat_t
	var err error
	if f.held != nil {
		err = unix.Fstat(int(f.held.Fd()), &st)
	} else {
		err = unix.Stat(f.path(), &st)
	}
	if err != nil {
		return &os.PathError{Op: "stat", Path: f.path(), Err: err}
	}
	f.identity = identityOf(&st)
	return f.check(&st)
}

func identityOf(st *unix.Stat_t) identity { return identity{uint64(st.Dev), st.Ino, st.Mtim} }

// check reports a file that isn't what it was when it was seeded.
func (f *storedFile) check(st *unix.Stat_t) error {
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != f.size {
		return fmt.Errorf("%s has changed since it was hashed: it has %d bytes, its torrent says %d", f.path(), st.Size, f.size)
	}
	if identityOf(st) != f.identity {
		return fmt.Errorf("%s has changed since it was hashed: it is another file now, or was written to", f.path())
	}
	return nil
}

// make makes a file to be filled, or opens what there is of it, and returns it with what it was long before. It has its
// full size then, but is sparse: memory is taken only as data arrives.
func (f *storedFile) make() (file *os.File, before int64, err error) {
	if file, err = os.OpenFile(f.path(), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "fetch into", Path: f.path(), Err: fs.ErrInvalid}
	}
	if err == nil && info.Size() != f.size {
		err = file.Truncate(f.size)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, min(info.Size(), f.size), nil
}

// holes calls hole for every part of a file that has no data (lseek(2), SEEK_DATA and SEEK_HOLE): what was added to what there
// was before has none, and of the rest the file system says so. One that doesn't know about holes calls everything data.
func holes(file *os.File, before, size int64, hole func(begin, end int64)) error {
	for at := int64(0); at < before; {
		data, err := file.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			data, err = before, nil // a hole up to the end
		}
		if err != nil {
			return fmt.Errorf("look for data in %s: %w", file.Name(), err)
		}
		if data = min(data, before); data > at {
			hole(at, data)
		}
		if data == before {
			break
		}
		if at, err = file.Seek(data, unix.SEEK_HOLE); err != nil {
			return fmt.Errorf("look for holes in %s: %w", file.Name(), err)
		}
	}
	if before < size {
		hole(before, size)
	}
	return nil
}

// punch makes a hole in a file (fallocate(2), FALLOC_FL_PUNCH_HOLE), which reads as zeros. It reports whether the file system
// can.
func punch(file *os.File, offset, size int64) bool {
	return unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, size) == nil
}

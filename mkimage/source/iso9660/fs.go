package iso9660

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

var _ interface {
	fs.ReadDirFS
	fs.StatFS
	fs.ReadLinkFS
} = (*FS)(nil)

// Open opens a file, which is an io.ReaderAt, an io.Seeker and an fs.File. Links are followed; those that lead out of the image stay within.
func (f *FS) Open(name string) (fs.File, error) {
	n, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	info := fileInfo{path.Base(name), n}
	if n.dir {
		return &folder{fs: f, info: info, name: name}, nil
	}
	for _, e := range n.extents {
		if e.at < 0 || e.at+e.size > f.size {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("the image is cut off: it has %d bytes, and this file ends at %d", f.size, e.at+e.size)}
		}
	}
	return &File{SectionReader: io.NewSectionReader(&extents{f, n.extents}, 0, n.size), info: info}, nil
}

// ReadDir implements fs.ReadDirFS.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a folder")}
	}
	entries, err := f.list(n)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	var list []fs.DirEntry
	for i := range entries {
		list = append(list, fs.FileInfoToDirEntry(fileInfo{entries[i].name, &entries[i].node}))
	}
	return list, nil
}

// Stat implements fs.StatFS.
func (f *FS) Stat(name string) (fs.FileInfo, error) { return f.stat(name, true) }

// Lstat implements fs.ReadLinkFS.
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return f.stat(name, false) }

func (f *FS) stat(name string, follow bool) (fs.FileInfo, error) {
	n, err := f.find("stat", name, follow)
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(name), n}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (f *FS) ReadLink(name string) (string, error) {
	n, err := f.find("readlink", name, false)
	if err == nil && n.link == "" {
		err = &fs.PathError{Op: "readlink", Path: name, Err: errors.New("not a link")}
	}
	if err != nil {
		return "", err
	}
	return n.link, nil
}

func (f *FS) find(op, name string, follow bool) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := f.lookup(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

// extents reads a file of several parts.
type extents struct {
	fs   *FS
	list []extent
}

// ReadAt implements io.ReaderAt.
func (e *extents) ReadAt(p []byte, off int64) (done int, err error) {
	for _, part := range e.list {
		if off >= part.size {
			off -= part.size
			continue
		}
		n := min(int64(len(p)-done), part.size-off)
		if err := e.fs.read(p[done:done+int(n)], part.at+off); err != nil {
			return done, err
		}
		done, off = done+int(n), 0
		if done == len(p) {
			return done, nil
		}
	}
	return done, io.EOF
}

// File is an open file.
type File struct {
	*io.SectionReader
	info fileInfo
}

// Stat and Close implement fs.File.
func (f *File) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close does nothing: the image is its owner's.
func (f *File) Close() error { return nil }

// folder is an open folder.
type folder struct {
	fs   *FS
	info fileInfo
	name string
	rest []fs.DirEntry
	read bool
}

func (d *folder) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *folder) Close() error               { return nil }
func (d *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a folder")}
}

// ReadDir implements fs.ReadDirFile.
func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		list, err := d.fs.ReadDir(d.name)
		if err != nil {
			return nil, err
		}
		d.rest, d.read = list, true
	}
	if n <= 0 {
		n = len(d.rest)
	} else if len(d.rest) == 0 {
		return nil, io.EOF
	}
	list := d.rest[:min(n, len(d.rest))]
	d.rest = d.rest[len(list):]
	return list, nil
}

// fileInfo describes a node. Images have owners and times, which nobody here asks for.
type fileInfo struct {
	name string
	node *node
}

func (i fileInfo) Name() string { return i.name }
func (i fileInfo) Size() int64  { return i.node.size }
func (i fileInfo) Mode() fs.FileMode {
	switch {
	case i.node.link != "":
		return fs.ModeSymlink | 0o777
	case i.node.dir:
		return fs.ModeDir | 0o555
	}
	return 0o444
}
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.node.dir }
func (i fileInfo) Sys() any           { return nil }

// Package inroot looks into a root file system that is mounted or unpacked in a folder, as its own programs will see it once that folder is
// their root: links, absolute ones too, are followed inside it and never lead out.
package inroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// FS is such a folder. Names are those of package fs: sbin/init, without a slash in front; "." is the root itself.
type FS struct{ dir *os.File }

var (
	_ fs.StatFS     = (*FS)(nil)
	_ fs.ReadLinkFS = (*FS)(nil)
)

// Open opens a folder.
func Open(dir string) (*FS, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return &FS{os.NewFile(uintptr(fd), dir)}, nil
}

// Close ends the use of the folder; files that are open stay so.
func (f *FS) Close() error { return f.dir.Close() }

// Open opens a file or folder for reading. Of a named pipe or a device nothing is waited for.
func (f *FS) Open(name string) (fs.File, error) {
	return f.open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
}

// Stat describes what a name leads to.
func (f *FS) Stat(name string) (fs.FileInfo, error) { return f.stat(name, unix.O_PATH) }

// Lstat describes what has the name, also if that is a link.
func (f *FS) Lstat(name string) (fs.FileInfo, error) {
	return f.stat(name, unix.O_PATH|unix.O_NOFOLLOW)
}

func (f *FS) stat(name string, flags uint64) (fs.FileInfo, error) {
	file, err := f.open(name, flags)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return named{info, path.Base(name)}, nil
}

// named is a file's description with the name by which it was asked for.
type named struct {
	fs.FileInfo
	name string
}

// Name implements [fs.FileInfo].
func (n named) Name() string { return n.name }

// Overwrite replaces the content of a file that is there.
func (f *FS) Overwrite(name string, content []byte) error {
	file, err := f.open(name, unix.O_WRONLY|unix.O_TRUNC|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// ReadLink returns what a link says.
func (f *FS) ReadLink(name string) (string, error) {
	file, err := f.open(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer file.Close()
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(file.Fd()), "", buf)
	if errors.Is(err, unix.ENOENT) { // what readlinkat(2) says of an empty path that is no link
		err = unix.EINVAL
	}
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

// Where returns the name without links of what a name leads to; it is there.
func (f *FS) Where(name string) (string, error) {
	file, err := f.open(name, unix.O_PATH)
	if err != nil {
		return "", err
	}
	defer file.Close()
	found, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	if err != nil {
		return "", err
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.dir.Fd()))
	if err != nil {
		return "", err
	}
	if found == root {
		return ".", nil
	}
	if root != "/" {
		root += "/"
	}
	if len(found) <= len(root) || found[:len(root)] != root {
		return "", &fs.PathError{Op: "find", Path: name, Err: fmt.Errorf("it is at %s, outside of %s", found, root)}
	}
	return found[len(root):], nil
}

// OpenFolder opens the folder that a name leads to, for the system calls that work in one (openat(2) and others). Unlike those of package fs, the
// name may be not UTF-8.
func (f *FS) OpenFolder(name string) (*os.File, error) {
	return f.resolve(name, unix.O_PATH|unix.O_DIRECTORY)
}

func (f *FS) open(name string, flags uint64) (*os.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return f.resolve(name, flags)
}

// resolve resolves a name as chroot(2) would (openat2(2), RESOLVE_IN_ROOT; since Linux 5.6).
func (f *FS) resolve(name string, flags uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(int(f.dir.Fd()), name, &how)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) { // EAGAIN: something was renamed meanwhile
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path.Join(f.dir.Name(), name), Err: err}
		}
		return os.NewFile(uintptr(fd), path.Join(f.dir.Name(), name)), nil
	}
}

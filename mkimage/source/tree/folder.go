package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// ReadFolder reads the names and attributes of a root file system that is a folder here. What is mounted below it is left out, as are
// sockets. Who may not read every file needs root; the error says so.
func ReadFolder(ctx context.Context, dir string, l Limits) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	t := newTree(l)
	s := &folderSource{root: root}
	t.bytes = s
	w := folderWalk{tree: t, dir: dir, source: s, inodes: map[uint64]string{}}
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return unreadable(err)
		}
		return w.visit(file, d)
	})
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return t, nil
}

// unreadable says who could read a file.
func unreadable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run this as root, or import a tar of it that root made", err)
	}
	return err
}

type folderWalk struct {
	tree   *Tree
	dir    string
	source *folderSource
	device uint64
	// inodes has the first name of each file that has several.
	inodes map[uint64]string
}

func (w *folderWalk) visit(file string, d fs.DirEntry) error {
	name, err := filepath.Rel(w.dir, file)
	if err != nil {
		return err
	}
	info, err := d.Info()
	if err != nil {
		return unreadable(err)
	}
	stat, is := info.Sys().(*syscall.Stat_t)
	if !is {
		return fmt.Errorf("%s: nothing is known of its owner", file)
	}
	if name == "." {
		w.device = stat.Dev
	}
	mounted := stat.Dev != w.device
	if info.Mode().Type() == fs.ModeSocket {
		w.tree.note("the socket /%s was left out: programs make their sockets anew", name)
		return nil
	}
	if mounted {
		w.tree.note("what is mounted at /%s was left out", name)
		if !d.IsDir() {
			return nil
		}
	}
	if !d.IsDir() && stat.Nlink > 1 && !mounted {
		if first := w.inodes[stat.Ino]; first != "" {
			return w.tree.link(name, first, 0)
		}
		w.inodes[stat.Ino] = name
	}
	n := &Node{Mode: info.Mode(), UID: int(stat.Uid), GID: int(stat.Gid), Modified: seconds(info.ModTime())}
	if err := w.fill(n, name, file, info, stat); err != nil {
		return err
	}
	if err := w.tree.add(name, n, 0); err != nil {
		return err
	}
	if mounted {
		return fs.SkipDir
	}
	return nil
}

// fill adds what depends on the type of a file.
func (w *folderWalk) fill(n *Node, name, file string, info fs.FileInfo, stat *syscall.Stat_t) error {
	var err error
	switch {
	case n.Mode.IsRegular():
		n.Size, n.at = info.Size(), len(w.source.names)
		w.source.names, w.source.nodes = append(w.source.names, name), append(w.source.nodes, n)
	case n.Mode.Type() == fs.ModeSymlink:
		if n.Link, err = os.Readlink(file); err != nil {
			return unreadable(err)
		}
	case n.Mode&fs.ModeDevice != 0:
		n.Major, n.Minor = int64(unix.Major(stat.Rdev)), int64(unix.Minor(stat.Rdev))
	}
	return w.xattrs(n, name, file)
}

// xattrs reads the extended attributes of a file.
func (w *folderWalk) xattrs(n *Node, name, file string) error {
	list := make([]byte, 1<<16) // XATTR_LIST_MAX
	size, err := unix.Llistxattr(file, list)
	switch {
	case errors.Is(err, unix.ENOTSUP):
		return nil
	case err != nil:
		return unreadable(&fs.PathError{Op: "llistxattr", Path: file, Err: err})
	}
	value := make([]byte, 1<<16) // XATTR_SIZE_MAX
	for len(list[:size]) > 0 {
		attribute := unix.ByteSliceToString(list[:size])
		list, size = list[len(attribute)+1:], size-len(attribute)-1
		length, err := unix.Lgetxattr(file, attribute, value)
		if err != nil {
			return unreadable(&fs.PathError{Op: "lgetxattr " + attribute, Path: file, Err: err})
		}
		w.tree.setXattr(n, name, attribute, string(value[:length]))
	}
	return nil
}

// folderSource reads the bytes of files in the order of their names.
type folderSource struct {
	root  *os.Root
	names []string
	nodes []*Node
}

func (s *folderSource) each(ctx context.Context, f func(*Node, io.Reader) error) error {
	for i, name := range s.names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.one(name, s.nodes[i], f); err != nil {
			return err
		}
	}
	return nil
}

func (s *folderSource) one(name string, n *Node, f func(*Node, io.Reader) error) error {
	file, err := s.root.OpenFile(path.Clean(name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return unreadable(err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != n.Size {
		return fmt.Errorf("%s was changed while it was read; try again when nothing writes into the folder", name)
	}
	return f(n, file)
}

func (s *folderSource) close() error { return s.root.Close() }

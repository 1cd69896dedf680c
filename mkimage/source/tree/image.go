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

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/rootimage"
)

// view is an image that can be looked into.
type view interface {
	// list returns the names in it. Nodes need no extended attributes.
	list(ctx context.Context) (*Tree, error)
	// fetch copies files, named as list names them, below a new folder.
	fetch(ctx context.Context, names []string, to string) error
	Close() error
}

// Root are images that are looked into as a node mounts them: one above the other.
type Root struct {
	tree    *Tree
	views   []view
	names   map[*Node]string
	scratch string
	fetched int
}

// Open looks into images of squashfs, erofs or ext4, lowest first. scratch is a folder for what is taken out of them. Reading erofs and
// ext4 images needs root, or the packages erofs-utils and e2fsprogs.
func Open(ctx context.Context, scratch string, images ...string) (*Root, error) {
	r := &Root{tree: newTree(Limits{Bytes: 1 << 62}), names: map[*Node]string{}, scratch: scratch}
	for i, image := range images {
		v, err := openView(ctx, image, scratch)
		if err == nil {
			r.views = append(r.views, v)
			err = r.lay(ctx, v, i)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("look into %s: %w", filepath.Base(image), err), r.Close())
		}
	}
	return r, nil
}

// OpenFolder looks into a root file system that is a folder here.
func OpenFolder(ctx context.Context, scratch, dir string) (*Root, error) {
	r := &Root{tree: newTree(Limits{Bytes: 1 << 62}), names: map[*Node]string{}, scratch: scratch}
	v, err := newFolderView(dir, nil)
	if err != nil {
		return nil, err
	}
	r.views = []view{v}
	if err := r.lay(ctx, v, 0); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close gives back what is held open. What was taken out stays.
func (r *Root) Close() error {
	var all error
	for _, v := range r.views {
		all = errors.Join(all, v.Close())
	}
	return all
}

// lay puts an image above those before it. As in overlayfs, a device 0:0 takes a name away.
func (r *Root) lay(ctx context.Context, v view, layer int) error {
	t, err := v.list(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	return t.each(func(name string, n *Node) error {
		n.layer = layer
		if r.names[n] == "" {
			r.names[n] = name
		}
		if n.Mode.Type() == fs.ModeDevice|fs.ModeCharDevice && n.Major == 0 && n.Minor == 0 {
			if in, err := r.tree.folder(split(path.Dir(name)), layer); err == nil {
				delete(in.children, path.Base(name))
			}
			return nil
		}
		return r.tree.add(name, n, layer)
	})
}

// split is clean for names that come from a tree.
func split(name string) []string {
	parts, _ := clean(name) // trees have clean names
	return parts
}

// find returns the node of a name, symbolic links within the root followed, the last one too; nil if there is none.
func (r *Root) find(name string) *entry {
	e, err := r.tree.walk(split(name), nil)
	if err != nil {
		return nil
	}
	return e
}

// file is find for files.
func (r *Root) file(name string) *Node {
	if e := r.find(name); e != nil && e.node.Mode.IsRegular() {
		return e.node
	}
	return nil
}

// take copies files out of the images. The result are their paths in a new folder below scratch.
func (r *Root) take(ctx context.Context, nodes ...*Node) (map[*Node]string, error) {
	r.fetched++
	paths := map[*Node]string{}
	for layer, v := range r.views {
		to := filepath.Join(r.scratch, fmt.Sprintf("taken-%d-%d", r.fetched, layer))
		var names []string
		for _, n := range nodes {
			if n.layer == layer && paths[n] == "" {
				names = append(names, r.names[n])
				paths[n] = filepath.Join(to, filepath.FromSlash(r.names[n]))
			}
		}
		if len(names) == 0 {
			continue
		}
		if err := v.fetch(ctx, names, to); err != nil {
			return nil, err
		}
		for _, n := range nodes {
			if n.layer != layer {
				continue
			}
			if info, err := os.Lstat(paths[n]); err != nil || !info.Mode().IsRegular() || info.Size() != n.Size {
				return nil, fmt.Errorf("/%s can't be read; the image is damaged: copy or make it again", r.names[n])
			}
		}
	}
	return paths, nil
}

// ReadFile returns a file of at most limit bytes.
func (r *Root) ReadFile(ctx context.Context, name string, limit int64) ([]byte, error) {
	n := r.file(name)
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if n.Size > limit {
		return nil, fmt.Errorf("%s has %d bytes, which is too much for such a file", name, n.Size)
	}
	paths, err := r.take(ctx, n)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(paths[n])
}

// Take copies a file out of the images, and returns the path of the copy, which is in the folder for what is taken out. It is sparse
// where the file is. A name that isn't there is fs.ErrNotExist.
func (r *Root) Take(ctx context.Context, name string) (string, error) {
	paths, err := r.TakeAll(ctx, []string{name})
	return paths[name], err
}

// TakeAll is Take for several files at once; the paths of the copies are by the names.
func (r *Root) TakeAll(ctx context.Context, names []string) (map[string]string, error) {
	var nodes []*Node
	for _, name := range names {
		n := r.file(name)
		if n == nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		nodes = append(nodes, n)
	}
	paths, err := r.take(ctx, nodes...)
	if err != nil {
		return nil, err
	}
	copies := map[string]string{}
	for i, name := range names {
		copies[name] = paths[nodes[i]]
	}
	return copies, nil
}

// Size is the size of a file in bytes; less than 0: it is not there.
func (r *Root) Size(name string) int64 {
	if n := r.file(name); n != nil {
		return n.Size
	}
	return -1
}

// openView recognises an image.
func openView(ctx context.Context, image, scratch string) (view, error) {
	file, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	is, err := rootimage.Read(file, size)
	if err != nil {
		return nil, err
	}
	if is.FS == rootimage.Squashfs {
		return squashView{image, scratch}, nil
	}
	if os.Geteuid() == 0 {
		m, err := mountImage(ctx, image, is.FS, 0, 0)
		if err == nil {
			return newFolderView(m.dir(), m)
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EPERM) {
			return nil, err
		}
		// A container, or a kernel without loop devices or this file system.
	}
	if is.FS == rootimage.Erofs {
		return unpackErofs(ctx, image, scratch)
	}
	return newExt4View(image, scratch), nil
}

// folderView is a folder, which may be what is mounted.
type folderView struct {
	path   string
	root   *os.Root
	behind io.Closer
}

func newFolderView(dir string, behind io.Closer) (*folderView, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		if behind != nil {
			err = errors.Join(err, behind.Close())
		}
		return nil, err
	}
	return &folderView{dir, root, behind}, nil
}

func (v *folderView) list(ctx context.Context) (*Tree, error) {
	return ReadFolder(ctx, v.path, Limits{Bytes: 1 << 62})
}

func (v *folderView) fetch(ctx context.Context, names []string, to string) error {
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.copy(name, filepath.Join(to, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
}

func (v *folderView) copy(name, to string) error {
	in, err := v.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return unreadable(err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (v *folderView) Close() error {
	err := v.root.Close()
	if v.behind != nil {
		err = errors.Join(err, v.behind.Close())
	}
	return err
}

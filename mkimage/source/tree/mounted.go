package tree

import (
	"context"
	"errors"
	"io"
	"io/fs"
)

// ReadImage reads the names and attributes of a root file system in an image, by mounting it read-only: it needs root and a kernel that
// knows the file system, by the kernel's name of it.
func ReadImage(ctx context.Context, image, fileSystem string, l Limits) (*Tree, error) {
	m, err := mountImage(ctx, image, fileSystem, 0, 0)
	if err != nil {
		return nil, err
	}
	t, err := ReadFolder(ctx, m.dir(), l)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	t.bytes = behind{t.bytes, m}
	return t, nil
}

// behind is a source that stands on something else, which is closed with it.
type behind struct {
	source
	below io.Closer
}

func (b behind) close() error { return errors.Join(b.source.close(), b.below.Close()) }

// Take copies a file out of the images, and returns the path of the copy, which is in the folder for what is taken out. It is sparse
// where the file is. A name that isn't there is fs.ErrNotExist.
func (r *Root) Take(ctx context.Context, name string) (string, error) {
	n := r.file(name)
	if n == nil {
		return "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	paths, err := r.take(ctx, n)
	if err != nil {
		return "", err
	}
	return paths[n], nil
}

// Size is the size of a file in bytes; less than 0: it is not there.
func (r *Root) Size(name string) int64 {
	if n := r.file(name); n != nil {
		return n.Size
	}
	return -1
}

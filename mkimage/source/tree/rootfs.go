package tree

import (
	"context"
	"io/fs"
	"os"
	"path"
	"time"
)

// rootFS is a root file system for package program: it follows links within the root, and takes files out of the images when they are
// opened.
type rootFS struct {
	ctx  context.Context // of one call of Look, in which it is used
	root *Root
}

// Stat implements fs.StatFS.
func (f rootFS) Stat(name string) (fs.FileInfo, error) {
	e := f.root.find(name)
	if e == nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return nodeInfo{path.Base(name), e.node}, nil
}

// Open implements fs.FS.
func (f rootFS) Open(name string) (fs.File, error) {
	n := f.root.file(name)
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	paths, err := f.root.take(f.ctx, n)
	if err != nil {
		return nil, err
	}
	return os.Open(paths[n])
}

// nodeInfo implements fs.FileInfo.
type nodeInfo struct {
	name string
	node *Node
}

func (i nodeInfo) Name() string       { return i.name }
func (i nodeInfo) Size() int64        { return i.node.Size }
func (i nodeInfo) Mode() fs.FileMode  { return i.node.Mode }
func (i nodeInfo) ModTime() time.Time { return i.node.Modified }
func (i nodeInfo) IsDir() bool        { return i.node.Mode.IsDir() }
func (i nodeInfo) Sys() any           { return nil }

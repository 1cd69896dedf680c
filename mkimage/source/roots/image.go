package roots

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/rootimage"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// Image is an image of a root file system: squashfs, erofs or ext4.
type Image struct{}

// Name implements source.Kind.
func (Image) Name() string { return "squashfs, erofs or ext4 image" }

// Example implements source.Kind.
func (Image) Example() source.Example {
	return source.Example{
		Source:  "filesystem.squashfs DIR/oss/lab",
		Becomes: "the image as it is (root), with the kernel in it; ext4 is packed as squashfs if root does it",
	}
}

// Recognise implements source.Kind. An ext4 image may have a boot sector, so Image is asked before Disk.
func (Image) Recognise(_ context.Context, s *source.Source) (bool, error) {
	if !s.IsFile() {
		return false, nil
	}
	is, err := rootimage.Read(bytes.NewReader(s.Head), s.Size)
	switch {
	case errors.Is(err, rootimage.ErrUnknown):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, checkClean(is)
}

// checkClean refuses a file system that was not unmounted.
func checkClean(is rootimage.Image) error {
	if is.Unclean {
		return errors.New("its ext4 file system was not unmounted, so its journal has what is not in its files yet; start and shut the machine down properly, " +
			"or run e2fsck -fy on a copy (package e2fsprogs), and import that")
	}
	return nil
}

// Import implements source.Kind.
func (Image) Import(ctx context.Context, j *source.Job) error {
	is, err := rootimage.Read(bytes.NewReader(j.Head), j.Size)
	if err != nil {
		return err
	}
	s, err := newSystem(j, "the image "+j.Path)
	if err != nil {
		return err
	}
	whole := part{path: j.Path, name: shortName(j), fs: is.FS, size: j.Size}
	if is.FS != rootimage.Ext4 {
		return asItIs(ctx, j, s, whole, "as it is")
	}
	return repack(ctx, j, s, whole)
}

// part is a file system in a file.
type part struct {
	path, name   string
	fs           string
	offset, size int64
}

// repack makes a squashfs image of an ext4 one. Blocks that ext4 does not use would be in nodes' memory otherwise, with whatever was in
// them once. Who may not mount it gets it as it is.
func repack(ctx context.Context, j *source.Job, s *source.System, p part) error {
	step := j.Step("read the names in "+p.name, 0)
	defer step.End()
	t, err := tree.ReadPart(ctx, p.path, p.fs, p.offset, p.size, tree.Limits{})
	step.End()
	switch {
	case err == nil:
		defer t.Close()
		return pack(ctx, j, s, t, p.name)
	case ctx.Err() != nil || !tree.CantMount(err):
		return err
	}
	return stays(ctx, j, s, p, err)
}

// stays makes a system of an ext4 image that can't be packed.
func stays(ctx context.Context, j *source.Job, s *source.System, p part, why error) error {
	j.Log.Warn("only root can pack it; it stays as large as it is", "file", p.name, "size", text.Size(p.size), "err", why)
	s.Comments["root"] = "The ext4 file system as it is. As root, " + self.Mkimage() + " import makes a squashfs image of it, which takes a third of the memory."
	return asItIs(ctx, j, s, p, "as it is, as only root can pack it")
}

// isRoot looks into the file system of a part, which need not be mounted for that.
func (p part) isRoot(ctx context.Context, j *source.Job) (bool, error) {
	scratch, err := os.MkdirTemp(j.Temp, "part-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(scratch)
	f, err := os.Open(p.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	image := filepath.Join(scratch, "image")
	if err := j.Copy(ctx, "copy "+p.name, io.NewSectionReader(f, p.offset, p.size), p.size, image); err != nil {
		return false, err
	}
	root, err := tree.Open(ctx, scratch, image)
	if err != nil {
		return false, err
	}
	defer root.Close()
	return root.IsRoot(), nil
}

// asItIs copies an image.
func asItIs(ctx context.Context, j *source.Job, s *source.System, p part, how string) error {
	f, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(p.offset, 0); err != nil {
		return err
	}
	name := "root." + p.fs
	if err := j.CopyFile(ctx, s, name, f, p.size, fmt.Sprintf("%s, %s", p.name, how)); err != nil {
		return err
	}
	s.Root.Images = []string{name}
	return j.FinishRoot(ctx, s)
}

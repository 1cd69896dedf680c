package iso

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/boottorrent/boottorrent/internal/rootimage"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// nestedRoots are where dracut and kiwi look for the root file system in the image that the ISO has.
var nestedRoots = []string{"/LiveOS/rootfs.img", "/LiveOS/ext3fs.img"}

// flatten makes a system's image of one that may have the root file system only within a file of it: that one is then packed anew, as
// nodes mount no image in an image. It returns the name of the image, in the system's folder.
func (i *image) flatten(ctx context.Context, j *source.Job, s *source.System, file string) (string, error) {
	r, size, err := i.opened(file)
	if err != nil {
		return "", err
	}
	name := fileName(file, map[string]bool{source.KernelFile: true, source.ModulesFile: true})
	if err := j.CopyFile(ctx, s, name, r, size, ""); err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp(j.Temp, "nested-")
	if err != nil {
		return "", err
	}
	outer, err := tree.Open(ctx, scratch, s.Path(name))
	if err != nil {
		return "", err
	}
	defer outer.Close()
	for _, nested := range nestedRoots {
		size := outer.Size(nested)
		if size < 0 {
			continue
		}
		inner, err := i.inner(ctx, j, outer, nested)
		if err != nil {
			return "", err
		}
		if err := os.Remove(s.Path(name)); err != nil {
			return "", err
		}
		return repack(ctx, j, s, inner, file+nested)
	}
	s.Made(name, file+" of the ISO, as it is")
	return name, nil
}

// inner takes the root file system's image out of the one that it is in.
func (i *image) inner(ctx context.Context, j *source.Job, outer *tree.Root, nested string) (string, error) {
	step := j.Step("take "+nested+" out", 0)
	defer step.End()
	return outer.Take(ctx, nested)
}

// repack makes a squashfs image of the file system in an image. Without the right to mount it, that stays as it is.
func repack(ctx context.Context, j *source.Job, s *source.System, inner, from string) (string, error) {
	is, err := fileSystem(inner)
	if err != nil {
		return "", fmt.Errorf("%s of the ISO: %w", from, err)
	}
	const packed = "root.squashfs"
	step := j.Step("read "+from, 0)
	t, err := tree.ReadPart(ctx, inner, is.FS, 0, 0, tree.Limits{})
	step.End()
	switch {
	case err == nil:
		defer t.Close()
		step := j.Step("pack "+packed, t.Size())
		defer step.End()
		if err := t.Pack(ctx, s.Path(packed), step.Set); err != nil {
			return "", err
		}
		s.Made(packed, from+" of the ISO, packed anew")
		return packed, os.Remove(inner)
	case ctx.Err() != nil, os.Geteuid() == 0:
		return "", err
	}
	j.Log.Warn("the root file system stays as large as it is; run as root to have it packed", "file", from, "err", err)
	name := "root." + is.FS
	if err := os.Rename(inner, s.Path(name)); err != nil {
		return "", err
	}
	s.Made(name, from+" of the ISO, as it is; as root it would be packed")
	return name, nil
}

func fileSystem(path string) (rootimage.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return rootimage.Image{}, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return rootimage.Image{}, err
	}
	return rootimage.Read(f, size)
}

package roots

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// Archive is a tar of a root file system, compressed or not.
type Archive struct{}

// Name implements source.Kind.
func (Archive) Name() string { return "tar (plain, gzip, xz, zstd, bzip2)" }

// Example implements source.Kind.
func (Archive) Example() source.Example {
	return source.Example{Source: "rootfs.tar.zst DIR/oss/debian", Becomes: "its files as a squashfs image (root), with the kernel in it"}
}

// Recognise implements source.Kind.
func (Archive) Recognise(ctx context.Context, s *source.Source) (bool, error) {
	if !s.IsFile() || len(s.Head) == 0 {
		return false, nil
	}
	if isTar(ctx, s.Head) {
		return true, nil
	}
	if tree.Compressed(s.Head) {
		return false, errors.New("it is compressed, and what is in it is no tar; unpack it and import that")
	}
	return false, nil
}

// isTar reports whether a file that begins with head is a tar, compressed or not.
func isTar(ctx context.Context, head []byte) bool {
	stream, err := tree.Decompressed(ctx, bytes.NewReader(head))
	if err != nil {
		return false
	}
	defer stream.Close()
	begin := make([]byte, 64<<10)
	n, _ := io.ReadFull(stream, begin) // the beginning of a compressed stream may unpack to less, and then ends with an error
	const magicAt = 257                // POSIX.1-1988, ustar; GNU's too
	if n >= 512 && string(begin[magicAt:magicAt+5]) == "ustar" {
		return true
	}
	_, err = tar.NewReader(bytes.NewReader(begin[:n])).Next()
	return err == nil
}

// Import implements source.Kind.
func (Archive) Import(ctx context.Context, j *source.Job) error {
	layer := tree.Layer{Name: shortName(j), Size: j.Size, Open: func() (io.ReadCloser, error) { return os.Open(j.Path) }}
	step := j.Step("read the names in "+layer.Name, j.Size)
	defer step.End()
	t, err := tree.ReadLayers(ctx, []tree.Layer{layer}, tree.Plain, tree.Limits{}, step.Set)
	if err != nil {
		return err
	}
	defer t.Close()
	step.End()
	if isSavedImage(t) {
		return importContainer(ctx, j, archived{path: j.Path})
	}
	if t.Has("oci-layout") && !t.IsRoot() {
		return fmt.Errorf("it is a container image as 'podman save --format oci-archive' writes it; unpack it (mkdir oci && tar -C oci -xf %s) and import %soci", j.Path, ociPrefix)
	}
	s, err := newSystem(j, "the archive "+j.Path)
	if err != nil {
		return err
	}
	return pack(ctx, j, s, t, layer.Name)
}

// isSavedImage reports whether an archive is what 'docker save' writes, and no root file system.
func isSavedImage(t *tree.Tree) bool { return t.Has("manifest.json") && !t.Has("etc") && !t.Has("usr") }

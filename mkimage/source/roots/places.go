package roots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// folder is an OCI image layout (OCI image specification, image-layout.md).
type folder struct{ path, tag string }

func (f folder) String() string {
	if f.tag != "" {
		return f.path + ":" + f.tag
	}
	return f.path
}

func (f folder) image(_ context.Context, arches []arch.Arch) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(f.path)
	if err != nil {
		return nil, fmt.Errorf("%s is no OCI image layout: %w; make one with: skopeo copy docker://HOST/NAME:TAG oci:FOLDER:TAG", f.path, err)
	}
	return choose(index, f.tag, arches)
}

func (folder) layer(_ context.Context, _ *source.Job, l v1.Layer, index int) (tree.Layer, error) {
	size, err := l.Size()
	return tree.Layer{Name: layerName(l, index), Size: size, Open: l.Compressed}, err
}

// refName is the annotation that has an image's tag (OCI image specification, annotations.md).
const refName = "org.opencontainers.image.ref.name"

// choose finds the image for nodes in an index, and in those that it leads to: the one for the first of some architectures that has one. tag
// is empty for the only one.
func choose(index v1.ImageIndex, tag string, arches []arch.Arch) (v1.Image, error) {
	m, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read the list of images: %w", err)
	}
	of := preferred(m.Manifests, arches)
	var fit []v1.Descriptor
	var tags, platforms []string
	for _, d := range m.Manifests {
		name := d.Annotations[refName]
		if tag != "" && name != tag && !strings.HasSuffix(name, ":"+tag) {
			tags = append(tags, name)
			continue
		}
		if d.Platform != nil && (d.Platform.OS != nodeOS || d.Platform.Architecture != string(of)) {
			platforms = append(platforms, d.Platform.OS+"/"+d.Platform.Architecture)
			continue
		}
		if d.MediaType.IsImage() || d.MediaType.IsIndex() {
			tags, fit = append(tags, name), append(fit, d)
		}
	}
	switch {
	case len(fit) == 0 && len(platforms) > 0:
		return nil, fmt.Errorf("there is no image for %s/%s, only for %s", nodeOS, of, strings.Join(platforms, ", "))
	case len(fit) == 0 && tag != "":
		return nil, fmt.Errorf("there is no image with the tag %q, only: %s", tag, strings.Join(tags, ", "))
	case len(fit) == 0:
		return nil, errors.New("there is no image in it")
	case len(fit) > 1:
		return nil, fmt.Errorf("there are several images; name one by its tag: %s", strings.Join(tags, ", "))
	}
	if fit[0].MediaType.IsIndex() {
		below, err := index.ImageIndex(fit[0].Digest)
		if err != nil {
			return nil, err
		}
		return choose(below, "", arches)
	}
	return index.Image(fit[0].Digest)
}

// preferred is the first of some architectures that one of the images is for; if none is, the first.
func preferred(images []v1.Descriptor, arches []arch.Arch) arch.Arch {
	for _, a := range arches {
		if slices.ContainsFunc(images, func(d v1.Descriptor) bool {
			return d.Platform != nil && d.Platform.OS == nodeOS && d.Platform.Architecture == string(a)
		}) {
			return a
		}
	}
	return arches[0]
}

// archived is what 'docker save' and 'podman save' write.
type archived struct{ path, tag string }

func (a archived) String() string {
	if a.tag != "" {
		return a.path + ":" + a.tag
	}
	return a.path
}

// open decompresses the archive, where it was compressed as a whole.
func (a archived) open() (io.ReadCloser, error) {
	f, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	stream, err := tree.Decompressed(context.Background(), f) // the library has no context for it
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return both{stream, f}, nil
}

// both closes a stream and the file that it comes from.
type both struct {
	io.ReadCloser
	file *os.File
}

func (b both) Close() error { return errors.Join(b.ReadCloser.Close(), b.file.Close()) }

func (a archived) image(context.Context, []arch.Arch) (v1.Image, error) {
	manifest, err := tarball.LoadManifest(a.open)
	if err != nil {
		return nil, fmt.Errorf("%s is no archive that 'docker save' wrote: %w", filepath.Base(a.path), err)
	}
	var names []string
	for _, d := range manifest {
		names = append(names, d.RepoTags...)
		for _, n := range d.RepoTags {
			if a.tag == "" || n != a.tag && !strings.HasSuffix(n, ":"+a.tag) && !strings.HasSuffix(n, "/"+a.tag) {
				continue
			}
			tag, err := name.NewTag(n)
			if err != nil {
				return nil, err
			}
			return tarball.Image(a.open, &tag)
		}
	}
	if a.tag != "" || len(manifest) != 1 {
		return nil, fmt.Errorf("%s has %d images; name one by its tag, %s%[1]s:TAG: %[4]s", a.path, len(manifest), dockerPrefix, strings.Join(names, ", "))
	}
	return tarball.Image(a.open, nil)
}

func (a archived) layer(_ context.Context, _ *source.Job, l v1.Layer, index int) (tree.Layer, error) {
	return tree.Layer{Name: fmt.Sprintf("layer %d of %s", index+1, filepath.Base(a.path)), Open: l.Uncompressed}, nil
}

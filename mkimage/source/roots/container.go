package roots

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// Container is a container image: an OCI folder, what 'docker save' writes, or an image in a registry.
type Container struct{}

// The beginnings of a source's name that say where a container image is, as skopeo and podman have them.
const (
	ociPrefix    = "oci:"
	dockerPrefix = "docker-archive:"
)

// Name implements source.Kind.
func (Container) Name() string {
	return "container image (oci:FOLDER[:TAG], docker-archive:FILE, HOST/NAME:TAG)"
}

// Example implements source.Kind.
func (Container) Example() source.Example {
	return source.Example{
		Source:  "registry.example.com/lab/desktop:2026 DIR/oss/desktop",
		Becomes: "its layers as one squashfs image (root); it needs an init, such as systemd-sysv, and a kernel or --kernel debian",
	}
}

// Recognise implements source.Kind.
func (Container) Recognise(_ context.Context, s *source.Source) (bool, error) {
	if strings.HasPrefix(s.Text, ociPrefix) || strings.HasPrefix(s.Text, dockerPrefix) {
		return true, nil
	}
	if s.IsFolder() {
		_, err := os.Lstat(filepath.Join(s.Path, "oci-layout"))
		return err == nil && !isRoot(s.Path), nil
	}
	return s.Info == nil && isReference(s.Text), nil
}

// isReference reports whether a text is HOST/NAME, as docker tells hosts from names: by a dot, a port, or as localhost.
func isReference(text string) bool {
	host, _, found := strings.Cut(text, "/")
	if !found || host == "." || host == ".." || host != "localhost" && !strings.ContainsAny(host, ".:") {
		return false
	}
	_, err := name.ParseReference(text)
	return err == nil
}

// place is where a container image is.
type place interface {
	// image chooses the image for nodes: of several platforms that of the first of these architectures.
	image(ctx context.Context, arches []arch.Arch) (v1.Image, error)
	// layer is one of the image as a stream that can be read twice. The index counts from 0.
	layer(ctx context.Context, j *source.Job, l v1.Layer, index int) (tree.Layer, error)
	// String is for the table.
	String() string
}

// Import implements source.Kind.
func (Container) Import(ctx context.Context, j *source.Job) error {
	var p place
	switch {
	case strings.HasPrefix(j.Text, ociPrefix):
		dir, tag := splitTag(strings.TrimPrefix(j.Text, ociPrefix))
		p = folder{dir, tag}
	case strings.HasPrefix(j.Text, dockerPrefix):
		file, tag := splitTag(strings.TrimPrefix(j.Text, dockerPrefix))
		p = archived{file, tag}
	case j.IsFolder():
		p = folder{path: j.Path}
	default:
		ref, err := name.ParseReference(j.Text)
		if err != nil {
			return err
		}
		p = registry{ref}
	}
	return importContainer(ctx, j, p)
}

// splitTag splits PATH:TAG, where both may have colons in them: the path is the longest that is there.
func splitTag(text string) (path, tag string) {
	for end := len(text); end > 0; end = strings.LastIndexByte(text[:end], ':') {
		if _, err := os.Stat(text[:end]); err == nil {
			return text[:end], strings.TrimPrefix(text[end:], ":")
		}
	}
	path, tag, _ = strings.Cut(text, ":")
	return path, tag
}

// importContainer makes a system of a container image.
func importContainer(ctx context.Context, j *source.Job, p place) error {
	step := j.Step("look for "+p.String(), 0)
	defer step.End()
	img, err := p.image(ctx, j.Arches())
	if err != nil {
		return err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("read its configuration: %w", err)
	}
	of, err := checkPlatform(j, config)
	if err != nil {
		return err
	}
	step.End()
	layers, err := layersOf(ctx, j, p, img, config)
	if err != nil {
		return err
	}
	step = j.Step("read the names in the layers", sum(layers))
	defer step.End()
	t, err := tree.ReadLayers(ctx, layers, tree.OCI, tree.Limits{}, step.Set)
	if err != nil {
		return err
	}
	defer t.Close()
	step.End()
	s, err := newSystem(j, "the container image "+p.String())
	if err != nil {
		return err
	}
	s.Arch = of
	s.Comments["init"] = "What the container image has as entry point, command, environment and user does not count here: a system starts its init."
	return pack(ctx, j, s, t, fmt.Sprintf("%s of %s", text.Count(len(layers), "layer"), p))
}

// nodeOS is the operating system of nodes. Their architecture is one of OCI's names too, which are Go's.
const nodeOS = "linux"

// checkPlatform returns the architecture that an image is for; empty if it doesn't say, which its init tells then. Those for other machines it
// refuses.
func checkPlatform(j *source.Job, c *v1.ConfigFile) (arch.Arch, error) {
	of := arch.Arch(c.Architecture)
	if (c.OS == "" || c.OS == nodeOS) && (of == "" || slices.Contains(j.Arches(), of)) {
		return of, nil
	}
	if _, err := arch.Parse(c.Architecture); err == nil && (c.OS == "" || c.OS == nodeOS) {
		return "", j.WrongArch("the image", of)
	}
	return "", fmt.Errorf("the image is for %s/%s, and nodes are %s/%s; get it for that platform, or build it so (docker build --platform %[3]s/%[4]s)",
		c.OS, c.Architecture, nodeOS, j.Arches()[0])
}

// layersOf are the layers that have files, lowest first.
func layersOf(ctx context.Context, j *source.Job, p place, img v1.Image, config *v1.ConfigFile) ([]tree.Layer, error) {
	all, err := img.Layers()
	if err != nil {
		return nil, fmt.Errorf("read the list of its layers: %w", err)
	}
	if ids := config.RootFS.DiffIDs; len(ids) != 0 && len(ids) != len(all) {
		return nil, fmt.Errorf("it has %d layers, and its configuration names %d; get it again", len(all), len(ids))
	}
	var layers []tree.Layer
	for i, l := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		media, err := l.MediaType()
		if err != nil {
			return nil, err
		}
		if !media.IsLayer() {
			return nil, fmt.Errorf("it has a layer of type %s, which is no archive of files: it is no container image", media)
		}
		layer, err := p.layer(ctx, j, l, i)
		if err != nil {
			return nil, fmt.Errorf("layer %d of %d: %w", i+1, len(all), err)
		}
		if i < len(config.RootFS.DiffIDs) {
			layer.SHA256 = config.RootFS.DiffIDs[i].Hex
		}
		layers = append(layers, layer)
	}
	if len(layers) == 0 {
		return nil, errors.New("the image has no layers, so there are no files in it")
	}
	return layers, nil
}

func sum(layers []tree.Layer) (bytes int64) {
	for _, l := range layers {
		bytes += l.Size
	}
	return bytes
}

// layerName is for messages.
func layerName(l v1.Layer, index int) string {
	if digest, err := l.Digest(); err == nil {
		return fmt.Sprintf("layer %d (%.19s)", index+1, digest)
	}
	return fmt.Sprintf("layer %d", index+1)
}

package kit

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
	"github.com/boottorrent/boottorrent/mkimage/image"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
)

// cards are the modules of the network cards that machines of a room have.
var cards = []string{"virtio_pci", "virtio_net", "e1000", "e1000e"}

// distribution is the distribution's kernel for an architecture, which mkimage has in its cache.
func distribution(ctx context.Context, a arch.Arch) (kernel.Files, error) {
	cache, err := image.DefaultCache()
	if err != nil {
		return kernel.Files{}, err
	}
	return kernel.Distribution(ctx, cache, a, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// cardModules returns the files of those modules for that kernel, each behind what it depends on.
func cardModules(ctx context.Context, a arch.Arch) ([]string, error) {
	files, err := distribution(ctx, a)
	if err != nil {
		return nil, err
	}
	modules, err := drivers.Ordered(files.Modules, cards)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, m := range modules {
		paths = append(paths, filepath.Join(files.Modules, m.Path))
	}
	return paths, nil
}

// gzipped writes a file's content to another, compressed: as Ubuntu's package installs a kernel for arm64.
func gzipped(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err == nil {
		_, err = io.Copy(z, in)
		err = errors.Join(err, z.Close())
	}
	return errors.Join(err, out.Close())
}

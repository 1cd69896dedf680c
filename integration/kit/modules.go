package kit

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
	"github.com/boottorrent/boottorrent/mkimage/image"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
)

// cards are the modules of the network cards that machines of a room have.
var cards = []string{"virtio_pci", "virtio_net", "e1000", "e1000e"}

// cardModules returns the files of those modules for the distribution's kernel, which mkimage has in its cache, each behind
// what it depends on.
func cardModules(ctx context.Context) ([]string, error) {
	cache, err := image.DefaultCache()
	if err != nil {
		return nil, err
	}
	files, err := kernel.Distribution(ctx, cache, arch.AMD64, slog.New(slog.NewTextHandler(io.Discard, nil)))
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

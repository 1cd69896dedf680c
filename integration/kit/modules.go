package kit

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"

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
	files, err := kernel.Distribution(ctx, cache, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		return nil, err
	}
	set, err := drivers.Select(files.Modules, files.Version, cards, "")
	if err != nil {
		return nil, err
	}
	byName := map[string]*drivers.Module{}
	for _, m := range set.Modules {
		byName[m.Name] = m
	}
	var ordered []string
	var add func(name string) error
	add = func(name string) error {
		m, ok := byName[name]
		if !ok {
			return fmt.Errorf("the kernel %s has no module %s", files.Version, name)
		}
		path := filepath.Join(files.Modules, m.Path)
		if slices.Contains(ordered, path) {
			return nil
		}
		for _, d := range m.Depends {
			if _, builtin := set.Builtin[d]; builtin {
				continue
			}
			if err := add(d); err != nil {
				return err
			}
		}
		ordered = append(ordered, path)
		return nil
	}
	for _, name := range cards {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return ordered, nil
}

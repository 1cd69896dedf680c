package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

// placeOf is where a boot file is put below the folders of images and of loaders.
func (m *Mirror) placeOf(f catalog.BootFile) string {
	if f.Kind == catalog.KindLoader {
		return filepath.Join(m.cfg.Loaders, filepath.FromSlash(f.Path))
	}
	return filepath.Join(m.cfg.Images, filepath.FromSlash(f.Path))
}

// fetchBootFiles brings the boot files here that are not here yet, each beside its place. What it returns puts them all there, and takes away
// those that the manifest doesn't name; it is called once everything that belongs together is here.
func (m *Mirror) fetchBootFiles(ctx context.Context, from *upstream.Seeder, manifest *catalog.BootManifest) (place func() error, err error) {
	arrived := map[string]string{} // by their places
	for _, f := range manifest.Files {
		to := m.placeOf(f)
		if m.notes.has(to, f) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, err
		}
		beside := filepath.Join(filepath.Dir(to), "."+path.Base(f.Path)+"-"+f.SHA256[:12])
		if !m.notes.has(beside, f) {
			m.cfg.Log.Info("fetching a boot file", "file", f.Path, "bytes", f.Size, "from", from.Base)
			if err := m.fetchBootFile(ctx, from, f, beside); err != nil {
				return nil, fmt.Errorf("fetch the boot file %s: %w", f.Path, err)
			}
		}
		arrived[to] = beside
	}
	return func() error { return m.placeBootFiles(manifest, arrived) }, nil
}

func (m *Mirror) fetchBootFile(ctx context.Context, from *upstream.Seeder, f catalog.BootFile, to string) error {
	file, err := atomicfile.Begin(to, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = file.Cleanup() }()
	if err := from.BootFile(ctx, f, file); err != nil {
		return err
	}
	if err := atomicfile.Finish(to, file); err != nil {
		return err
	}
	return m.notes.note(to, f)
}

// placeBootFiles moves what has arrived to its place, and takes away what is not in the manifest.
func (m *Mirror) placeBootFiles(manifest *catalog.BootManifest, arrived map[string]string) error {
	for to, beside := range arrived {
		if err := os.Rename(beside, to); err != nil {
			return err
		}
	}
	var wanted []string
	for _, f := range manifest.Files {
		wanted = append(wanted, m.placeOf(f))
	}
	var errs []error
	for _, dir := range []string{m.cfg.Images, m.cfg.Loaders} {
		errs = append(errs, filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil || d.IsDir():
				return err
			case slices.Contains(wanted, at):
				return nil
			}
			return os.Remove(at)
		}))
	}
	for _, f := range manifest.Files {
		errs = append(errs, m.notes.note(m.placeOf(f), f))
	}
	return errors.Join(errs...)
}

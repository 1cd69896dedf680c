package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

// archivePath is where an archive of files for machines is kept.
func (m *Mirror) archivePath(f catalog.Files) string {
	return filepath.Join(m.cfg.Dir, f.SHA256+".cpio")
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// readArchives reads the files for machines that are not here, deletes those that the catalog doesn't list, and returns why some could not be had.
func (m *Mirror) readArchives(ctx context.Context, from *upstream.Seeder, cat *catalog.Catalog) (missing []error) {
	listed := map[string]bool{}
	for _, f := range cat.Files {
		listed[f.SHA256] = true
		if m.archives[f.SHA256] != nil {
			continue
		}
		b, err := from.MachineFiles(ctx, f)
		if err == nil {
			err = atomicfile.Write(m.archivePath(f), b, 0o644)
		}
		if err != nil {
			missing = append(missing, fmt.Errorf("the files for %s: %w", f.For, err))
			continue
		}
		m.archives[f.SHA256] = b
	}
	for sum := range m.archives {
		if !listed[sum] {
			delete(m.archives, sum)
			missing = append(missing, ignoreMissing(os.Remove(m.archivePath(catalog.Files{SHA256: sum})))...)
		}
	}
	return missing
}

// ignoreMissing is an error unless it is that a file is not there.
func ignoreMissing(err error) []error {
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return []error{err}
}

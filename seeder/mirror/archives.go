package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

const archiveEnding = ".cpio"

// archivePath is where an archive of files for machines is kept.
func (m *Mirror) archivePath(f catalog.Files) string {
	return filepath.Join(m.cfg.Dir, f.SHA256+archiveEnding)
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// readArchives are the files for machines of a catalog, which are read where they are not here.
func (m *Mirror) readArchives(ctx context.Context, from *upstream.Seeder, cat *catalog.Catalog) (map[string][]byte, error) {
	archives := map[string][]byte{}
	for _, f := range cat.Files {
		b := m.archives[f.SHA256]
		if b == nil {
			var err error
			if b, err = from.MachineFiles(ctx, f); err == nil {
				err = atomicfile.Write(m.archivePath(f), b, 0o644)
			}
			if err != nil {
				return nil, fmt.Errorf("the files for %s: %w", f.For, err)
			}
		}
		archives[f.SHA256] = b
	}
	return archives, nil
}

// sweepArchives deletes the archives that the catalog doesn't list.
func (m *Mirror) sweepArchives() error {
	entries, err := os.ReadDir(m.cfg.Dir)
	for _, e := range entries {
		if sum, ok := strings.CutSuffix(e.Name(), archiveEnding); ok && m.archives[sum] == nil {
			err = errors.Join(err, os.Remove(filepath.Join(m.cfg.Dir, e.Name())))
		}
	}
	return err
}

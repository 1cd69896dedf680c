package swarm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// MismatchError says that a file which was fetched whole is not the one the catalog speaks of.
type MismatchError struct {
	System, File string
	// Got and Want are SHA-256 sums in hexadecimal.
	Got, Want string
}

// Error implements error.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("file %q of %q is not the catalog's: its SHA-256 is %s, the catalog says %s; it was deleted. "+
		"The seeder offers other files than its catalog describes: restart it, then try again", e.File, e.System, e.Got, e.Want)
}

// verify compares every file with the catalog's SHA-256, as many at a time as there are processors. Pieces of zeros are not read.
// Nothing is read if every piece was found to have the SHA-256 that the catalog names.
func (s *store) verify(ctx context.Context, files catalog.FileList) error {
	if s.proved() {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(runtime.NumCPU(), len(files)) {
		group.Go(func() error {
			buffer := make([]byte, 1<<20)
			for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
				if err := s.verifyFile(ctx, &s.files[i], files[i], buffer); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (s *store) verifyFile(ctx context.Context, f *storedFile, want catalog.File, buffer []byte) error {
	h := sha256.New()
	for at := f.offset; at < f.offset+f.size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := &s.pieces[at/s.layout.pieceLength]
		n := min(p.offset+p.size, f.offset+f.size, at+int64(len(buffer))) - at
		if _, err := p.ReadAt(buffer[:n], at-p.offset); err != nil {
			return fmt.Errorf("verify file %q of %q: %w", want.Path, s.layout.name, err)
		}
		_, _ = h.Write(buffer[:n]) // never fails
		at += n
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != strings.ToLower(want.SHA256) {
		return &MismatchError{System: s.layout.name, File: want.Path, Got: got, Want: want.SHA256}
	}
	return nil
}

// Discard deletes the files of the system of that name below dir (Source.Dir), complete or not, and the folders that are
// empty then. The engine must not have the torrent any more. Files that are not there are no error.
func Discard(dir, name string, files catalog.FileList) error {
	root := filepath.Join(dir, name)
	var errs []error
	for _, f := range files {
		if catalog.CheckPath(f.Path) != nil {
			continue
		}
		path := filepath.Join(root, filepath.FromSlash(f.Path))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		// Removing a folder that is not empty fails, and that is where it should stop.
		for path = filepath.Dir(path); len(path) >= len(root) && os.Remove(path) == nil; path = filepath.Dir(path) {
		}
	}
	return errors.Join(errs...)
}

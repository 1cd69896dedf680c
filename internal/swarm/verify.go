package swarm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

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

// verify compares every file with the catalog's SHA-256, as many at a time as there are processors.
func (s *store) verify(ctx context.Context, files catalog.FileList) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, f := range files {
		group.Go(func() error {
			h := sha256.New()
			r := &contextReader{ctx, io.NewSectionReader(s.files[i], 0, f.Size)}
			if _, err := io.CopyBuffer(h, r, make([]byte, 1<<20)); err != nil {
				return fmt.Errorf("verify file %q of %q: %w", f.Path, s.layout.name, err)
			}
			if got := hex.EncodeToString(h.Sum(nil)); got != strings.ToLower(f.SHA256) {
				return &MismatchError{System: s.layout.name, File: f.Path, Got: got, Want: f.SHA256}
			}
			return nil
		})
	}
	return group.Wait()
}

// contextReader ends with the context's error.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r *contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
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

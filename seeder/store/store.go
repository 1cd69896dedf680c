// Package store keeps the seeder's own copies of the systems it serves, and knows their hashes.
//
// In goes a checked system of a site; out comes a [Version]: a folder whose files no longer change, the system's entry
// in the catalog, and its torrent (BEP 3). A node that is in the middle of a version finishes it, even if the operator
// has overwritten the originals in the meantime; and what was hashed is, byte for byte, what is served.
//
// A copy shares its blocks with the original where the file system can (FICLONE: btrfs, xfs). What took reading all
// the bytes to find out is kept in an index, so that a system whose files have not been touched is ready at once.
//
// On disk, below the store's folder:
//
//	index.db                        bbolt; its lock keeps a second seeder out
//	INFOHASH/SYSTEM/PATH            a stored version; complete if, and only if, it is in the index
//	fetched/SHA256                  a file that came from elsewhere (package origin); versions have links to it
//	tmp-*                           a version in the making, or one being deleted
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	indexFile  = "index.db"
	tempPrefix = "tmp-"
)

// Store holds versions of systems. Its methods may be called from several goroutines.
type Store struct {
	dir   string
	log   *slog.Logger
	index *index
	// importing has room for one: an import keeps all cores and the disk busy by itself.
	importing chan struct{}
	// files is held while folders appear in the store or vanish from it, together with their index entries.
	files sync.Mutex
	// retryAfter is the pause before a system that changed while it was read is read again.
	retryAfter time.Duration
	// clone makes dst share the blocks of src.
	clone func(dst, src *os.File) error
}

// Version is one state of a system, stored.
type Version struct {
	System catalog.System
	// Files are the system's, and FileList the same as the document that System.List identifies.
	Files    catalog.FileList
	FileList []byte
	// Torrent is the metainfo file. It names no tracker, as the seeder's addresses change and a version doesn't.
	Torrent []byte
	// Dir is the folder in which the version's folder System.Name is.
	Dir string
	// Boot is the boot part that the system is started with; nil: it needs none.
	Boot *Version
}

// Parts are the version itself and, if it has one, its boot part: all that has to be there for nodes to start it.
func (v Version) Parts() []Version {
	if v.Boot == nil {
		return []Version{v}
	}
	return []Version{v, *v.Boot}
}

// Same reports whether nodes would get the same of both.
func (v Version) Same(other Version) bool {
	return slices.EqualFunc(v.Parts(), other.Parts(), func(a, b Version) bool { return reflect.DeepEqual(a.System, b.System) })
}

// Progress is told how many bytes of a system have been stored and hashed. It is called from one goroutine, often.
type Progress func(system string, done, total int64)

// Open opens the store in dir, and makes it if there is none. It removes what a crash left half done. When another
// process has the store open, it says so within a second.
func Open(dir string, log *slog.Logger) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open store: %w; make the folder writable for this user", err)
	}
	index, err := openIndex(filepath.Join(dir, indexFile), log)
	if err != nil {
		return nil, err
	}
	s := &Store{
		dir: dir, log: log, index: index, importing: make(chan struct{}, 1),
		retryAfter: 500 * time.Millisecond, clone: cloneFile,
	}
	if err := s.sweep(); err != nil {
		return nil, errors.Join(err, index.close())
	}
	return s, nil
}

// Close ends the use of the store, which another process may then open. Cancel running imports before.
func (s *Store) Close() error { return s.index.close() }

// Prune deletes all stored versions but those to keep, and what else is in the store and in nobody's use: leftovers of imports that
// failed, and versions whose removing failed. Files that are open stay readable until they are closed. What Import has just returned is
// no exception: don't prune between an Import and naming its version here. While an import is running, it does nothing.
func (s *Store) Prune(keep []catalog.InfoHash) error {
	select {
	case s.importing <- struct{}{}:
		defer func() { <-s.importing }()
	default:
		return nil
	}
	s.files.Lock()
	defer s.files.Unlock()
	removed, err := s.index.prune(keep)
	if err != nil {
		return fmt.Errorf("prune store: %w", err)
	}
	var errs []error
	for _, h := range removed {
		if err := s.remove(h.String()); err != nil {
			errs = append(errs, fmt.Errorf("prune store: %w", err))
			continue
		}
		s.log.Info("old version removed", "infohash", h)
	}
	return errors.Join(append(errs, s.sweep())...)
}

// sweep removes what is not in the index: versions that were being made or deleted when the process ended.
func (s *Store) sweep() error {
	known, err := s.index.versions()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	for _, e := range entries {
		var h catalog.InfoHash
		isVersion := h.UnmarshalText([]byte(e.Name())) == nil
		if strings.HasPrefix(e.Name(), tempPrefix) || isVersion && !known[h] {
			if err := s.remove(e.Name()); err != nil {
				return fmt.Errorf("remove a leftover from the store: %w", err)
			}
		}
	}
	return nil
}

// remove deletes a folder of the store, under a temporary name so that it is never seen half deleted.
func (s *Store) remove(name string) error {
	path := filepath.Join(s.dir, name)
	if !strings.HasPrefix(name, tempPrefix) {
		temp := filepath.Join(s.dir, tempPrefix+name)
		if err := os.RemoveAll(temp); err != nil {
			return err
		}
		if err := os.Rename(path, temp); errors.Is(err, os.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		path = temp
	}
	return os.RemoveAll(path)
}

package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
)

// lastBucket: name of a system → Last. It remembers over restarts what nodes were given.
var lastBucket = []byte("last")

// Last is a system as it was last published.
type Last struct {
	// System is what its configuration said; where its files were is left out.
	System   site.System      `json:"system"`
	InfoHash catalog.InfoHash `json:"infohash"`
	// Boot is the infohash of its boot part; zero: it has none.
	Boot catalog.InfoHash `json:"boot,omitzero"`
	// Unpacked is of a runtime alone: how large it is when it is unpacked.
	Unpacked int64 `json:"unpacked,omitempty"`
}

// Remember notes that a system was published.
func (s *Store) Remember(l Last) error {
	l.System.Dir, l.System.Files = "", nil
	l.System.Fetched, l.System.From, l.System.Missing = "", nil, nil
	return s.index.update("write index", func(tx *bbolt.Tx) error { return putJSON(tx.Bucket(lastBucket), []byte(l.System.Name), l) })
}

// Forget notes that a system is no longer published. Its version stays until [Store.Prune].
func (s *Store) Forget(system string) error {
	return s.index.update("write index", func(tx *bbolt.Tx) error { return tx.Bucket(lastBucket).Delete([]byte(system)) })
}

// Lasts are the systems as they were last published, those whose versions are still stored and untouched.
func (s *Store) Lasts() (lasts []Last, versions []Version, err error) {
	s.files.Lock()
	defer s.files.Unlock()
	var all []Last
	err = s.index.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(lastBucket).ForEach(func(_, body []byte) error {
			var l Last
			if json.Unmarshal(body, &l) == nil { // what another release wrote is of no use
				all = append(all, l)
			}
			return nil
		})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read index: %w", err)
	}
	for _, l := range all {
		v, err := withBoot(l.System, func(part site.System) (Version, error) {
			if part.Name == l.System.Name {
				return s.stored(part, l.InfoHash)
			}
			return s.stored(part, l.Boot)
		})
		if err != nil {
			s.log.Warn("a version from before can't be offered any more", "system", l.System.Name, "err", err)
			continue
		}
		lasts, versions = append(lasts, l), append(versions, v)
	}
	return lasts, versions, nil
}

// stored is a version that was published, if it is as it was. The caller holds s.files.
func (s *Store) stored(sys site.System, h catalog.InfoHash) (Version, error) {
	r, ok, err := s.index.version(h)
	if err != nil {
		return Version{}, err
	}
	if !ok {
		return Version{}, errNotStored
	}
	if err := s.intact(h, sys.Name, r); err != nil {
		return Version{}, err
	}
	if _, now, err := metainfo(sys.Name, r); err != nil || now != h {
		return Version{}, errors.Join(errors.New("another release made its torrent"), err)
	}
	return s.version(sys, h, r)
}

// LastOf is what [Store.Remember] takes of a system and its version.
func LastOf(sys site.System, v Version) Last {
	l := Last{System: sys, InfoHash: v.System.InfoHash}
	if v.Boot != nil {
		l.Boot = v.Boot.System.InfoHash
	}
	return l
}

// errNotStored says that a system, or its boot part, has to be imported.
var errNotStored = errors.New("it is not stored")

// Find returns the stored version of a system whose files, and those of whose boot part, have not been touched since; ok is false if
// it has to be imported.
func (s *Store) Find(sys site.System) (v Version, ok bool, err error) {
	v, err = withBoot(sys, s.findPart)
	if errors.Is(err, errNotStored) {
		return Version{}, false, nil
	}
	return v, err == nil, err
}

func (s *Store) findPart(sys site.System) (Version, error) {
	src, err := openSource(sys)
	if err != nil {
		return Version{}, err
	}
	defer src.close()
	h, r, ok, err := s.cached(src)
	if err == nil && !ok {
		err = errNotStored
	}
	if err != nil {
		return Version{}, err
	}
	return s.version(sys, h, r)
}

func (x *index) update(what string, f func(tx *bbolt.Tx) error) error {
	if err := x.db.Update(f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

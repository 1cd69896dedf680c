package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// lockWait is how long the index may be locked by another process before that is an error.
const lockWait = 700 * time.Millisecond

// Buckets of the index. Both hold JSON.
var (
	// versionsBucket: infohash (20 bytes) → record.
	versionsBucket = []byte("versions")
	// sourcesBucket: name of a system → origin.
	sourcesBucket = []byte("sources")
)

// record is what is known of a stored version.
type record struct {
	PieceLength int64  `json:"piece_length"`
	Pieces      []byte `json:"pieces"`
	// PieceSums are the SHA-256 sums of the pieces. A version that was stored by a release that made none goes without.
	PieceSums []byte       `json:"piece_sums,omitempty"`
	Files     []storedFile `json:"files"`
}

// storedFile is a file of a stored version.
type storedFile struct {
	catalog.File
	// Modified is the copy's modification time in ns since 1970: it is never written again.
	Modified int64 `json:"modified"`
}

// origin is what a system's files were when they were last stored, and as what.
type origin struct {
	Fingerprint fingerprint      `json:"fingerprint"`
	InfoHash    catalog.InfoHash `json:"infohash"`
}

// index remembers versions over restarts.
type index struct{ db *bbolt.DB }

func openIndex(path string, log *slog.Logger) (*index, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait})
	if errors.Is(err, bbolterrors.ErrInvalid) || errors.Is(err, bbolterrors.ErrChecksum) || errors.Is(err, bbolterrors.ErrVersionMismatch) {
		// Everything in it can be found out again.
		log.Warn("the index of stored systems is damaged; all systems will be hashed again", "file", path, "err", err)
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove damaged index: %w", err)
		}
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait})
	}
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("another seeder serves this site (lock held on %s); stop it first", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open index %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{versionsBucket, sourcesBucket, lastBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare index %s: %w", path, err), db.Close())
	}
	return &index{db}, nil
}

func (x *index) close() error {
	if err := x.db.Close(); err != nil {
		return fmt.Errorf("close index: %w", err)
	}
	return nil
}

// origin returns what system was last stored as; ok is false if it never was.
func (x *index) origin(system string) (o origin, ok bool, err error) {
	ok, err = x.get(sourcesBucket, []byte(system), &o)
	return o, ok, err
}

// version returns what is known of a version; ok is false if it is not stored.
func (x *index) version(h catalog.InfoHash) (r record, ok bool, err error) {
	ok, err = x.get(versionsBucket, h[:], &r)
	return r, ok, err
}

func (x *index) get(bucket, key []byte, value any) (ok bool, err error) {
	err = x.db.View(func(tx *bbolt.Tx) error {
		body := tx.Bucket(bucket).Get(key)
		if ok = body != nil; !ok {
			return nil
		}
		return json.Unmarshal(body, value)
	})
	if err != nil {
		return false, fmt.Errorf("read index: %w", err)
	}
	return ok, nil
}

// put remembers a version, and that system is stored as that.
func (x *index) put(system string, o origin, r record) error {
	err := x.db.Update(func(tx *bbolt.Tx) error {
		if err := putJSON(tx.Bucket(versionsBucket), o.InfoHash[:], r); err != nil {
			return err
		}
		return putJSON(tx.Bucket(sourcesBucket), []byte(system), o)
	})
	if err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

func putJSON(b *bbolt.Bucket, key []byte, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return b.Put(key, body)
}

// versions is the set of all versions.
func (x *index) versions() (map[catalog.InfoHash]bool, error) {
	known := map[catalog.InfoHash]bool{}
	err := x.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(versionsBucket).ForEach(func(key, _ []byte) error {
			known[catalog.InfoHash(key)] = true
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	return known, nil
}

// prune forgets all versions but those to keep, and returns which it forgot.
func (x *index) prune(keep []catalog.InfoHash) (forgotten []catalog.InfoHash, err error) {
	known, err := x.versions()
	if err != nil {
		return nil, err
	}
	for h := range known {
		if !slices.Contains(keep, h) {
			forgotten = append(forgotten, h)
		}
	}
	if len(forgotten) == 0 {
		return nil, nil
	}
	err = x.db.Update(func(tx *bbolt.Tx) error {
		for _, h := range forgotten {
			if err := tx.Bucket(versionsBucket).Delete(h[:]); err != nil {
				return err
			}
		}
		return deleteOrigins(tx.Bucket(sourcesBucket), forgotten)
	})
	if err != nil {
		return nil, fmt.Errorf("write index: %w", err)
	}
	return forgotten, nil
}

func deleteOrigins(b *bbolt.Bucket, of []catalog.InfoHash) error {
	var stale [][]byte
	err := b.ForEach(func(system, body []byte) error {
		var o origin
		if err := json.Unmarshal(body, &o); err != nil || slices.Contains(of, o.InfoHash) {
			stale = append(stale, slices.Clone(system))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, system := range stale {
		if err := b.Delete(system); err != nil {
			return err
		}
	}
	return nil
}

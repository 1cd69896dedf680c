package medium

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/boottorrent/boottorrent/internal/mediumseen"
)

// Seen returns the highest counter of a catalog that the medium has seen, signed by the key with this ID. A medium without
// boottorrent.seen gives an error that wraps fs.ErrNotExist; one that wraps mediumseen.ErrDamaged says that nothing in it is whole.
func (m *Medium) Seen(key uint64) (uint64, error) {
	records, err := m.records()
	if err != nil {
		return 0, fmt.Errorf("the medium %s: %w", m.Device, err)
	}
	if records[0].damaged && records[1].damaged {
		return 0, fmt.Errorf("the medium %s: %s: %w", m.Device, mediumseen.Name, mediumseen.ErrDamaged)
	}
	return max(records[0].of(key), records[1].of(key)), nil
}

// Remember writes into boottorrent.seen, in place, that a catalog with this counter was seen, unless a higher one was. When it
// returns without an error, that is on the medium. Nothing else is written: a file whose content nobody wrote as records is left alone.
func (m *Medium) Remember(key, counter uint64) error {
	records, err := m.records()
	if err == nil {
		err = m.remember(records, mediumseen.Record{Key: key, Counter: counter})
	}
	if err != nil {
		return fmt.Errorf("the medium %s: %w", m.Device, err)
	}
	return nil
}

func (m *Medium) remember(records [2]record, r mediumseen.Record) error {
	first, second := records[0].of(r.Key), records[1].of(r.Key)
	if max(first, second) >= r.Counter {
		return nil
	}
	if !records[0].ours && !records[1].ours {
		return fmt.Errorf("%s is not as mkimage makes it, and is not written to; make the medium again with mkimage", mediumseen.Name)
	}
	older := 0
	if first > second {
		older = 1
	}
	at, err := m.volume.Offset(mediumseen.Name, mediumseen.At[older])
	if err != nil {
		return err
	}
	return overwrite(m.path, r.Encode(), m.begins+at)
}

// overwrite writes bytes of a disk, and returns when they are on it.
func overwrite(disk string, b []byte, at int64) error {
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	return errors.Join(err, f.Sync(), f.Close())
}

// record is one of the two copies.
type record struct {
	mediumseen.Record
	// damaged: it is not whole. ours: it was written as one nevertheless.
	damaged, ours bool
}

// of is the counter of catalogs signed by a key.
func (r record) of(key uint64) uint64 {
	if r.damaged || r.Key != key {
		return 0
	}
	return r.Counter
}

func (m *Medium) records() (records [2]record, err error) {
	b, err := m.volume.ReadFile(mediumseen.Name, mediumseen.Size)
	if err == nil && len(b) != mediumseen.Size {
		err = fmt.Errorf("%s has %d bytes, want %d: %w", mediumseen.Name, len(b), mediumseen.Size, fs.ErrNotExist)
	}
	if err != nil {
		return records, err
	}
	for i, at := range mediumseen.At {
		sector := b[at:][:mediumseen.Sector]
		r, err := mediumseen.Decode(sector)
		records[i] = record{r, err != nil, mediumseen.IsRecord(sector)}
	}
	return records, nil
}

package history

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The buckets: boots has one as JSON for each key; in facts is, under number, how many those are (big-endian, 64 bits): by that a file is
// known of which a part is missing.
var (
	boots  = []byte("boots")
	facts  = []byte("facts")
	number = []byte("number")
)

// key is that of a boot: the machine's MAC address and when it began, in milliseconds since 1970 (big-endian).
type key [14]byte

func keyOf(b *Boot) (k key) {
	mac, _ := net.ParseMAC(b.MAC)
	copy(k[:6], mac)
	binary.BigEndian.PutUint64(k[6:], uint64(b.Began.UnixMilli()))
	return k
}

// lockWait is how long the file may be locked by another process before it is done without.
const lockWait = 700 * time.Millisecond

// file is the database; without one nothing is written.
type file struct {
	path string
	log  *slog.Logger
	db   *bbolt.DB
}

// openFile opens the database in a folder, and reads all of it: that is also what says whether it is whole.
func openFile(state string, log *slog.Logger) (*file, []Boot) {
	f := &file{path: filepath.Join(state, File), log: log}
	all, err := f.open()
	if err != nil && damaged(err) {
		f.setAside(err)
		all, err = f.open()
	}
	if err != nil {
		log.Error("the history of boots can't be kept; it will be gone when the seeder ends", "file", f.path, "err", err)
	}
	return f, all
}

// errDamaged says that what is in the file makes no sense.
var errDamaged = errors.New("the file is damaged")

// damaged reports whether an error says that of the file itself. That the disk is full or a lock held is another matter.
func damaged(err error) bool {
	for _, of := range []error{errDamaged, bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// guarded does something with the file. bbolt panics where pages make no sense, and a file that is too short is a fault of memory where
// it is mapped: both become errors.
func guarded(do func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return do()
}

func (f *file) open() (all []Boot, err error) {
	var db *bbolt.DB
	before, _ := os.Stat(f.path)
	isNew := before == nil || before.Size() == 0
	err = guarded(func() (err error) {
		db, err = bbolt.Open(f.path, 0o600, &bbolt.Options{Timeout: lockWait})
		return err
	})
	if err != nil {
		return nil, err
	}
	err = guarded(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			if info, err := os.Stat(f.path); err == nil && info.Size() < tx.Size() {
				return fmt.Errorf("%w: it has %d bytes, and says %d", errDamaged, info.Size(), tx.Size())
			}
			if !isNew {
				all, err = read(tx)
				return err
			}
			for _, name := range [][]byte{boots, facts} {
				if _, err := tx.CreateBucket(name); err != nil {
					return err
				}
			}
			return count(tx, 0)
		})
	})
	if err != nil {
		_ = guarded(db.Close)
		return nil, err
	}
	f.db = db
	return all, nil
}

// count notes that there are so many more entries.
func count(tx *bbolt.Tx, more int) error {
	b := tx.Bucket(facts)
	var sum uint64
	if text := b.Get(number); len(text) == 8 {
		sum = binary.BigEndian.Uint64(text)
	}
	return b.Put(number, binary.BigEndian.AppendUint64(nil, sum+uint64(more)))
}

// read reads all boots, and every page on the way. Tx.Check would read them in a goroutine of its own, where faults of memory end the
// seeder.
func read(tx *bbolt.Tx) (all []Boot, err error) {
	in, about := tx.Bucket(boots), tx.Bucket(facts)
	if in == nil || about == nil {
		return nil, fmt.Errorf("%w: it is not a history", errDamaged)
	}
	err = in.ForEach(func(k, text []byte) error {
		var b Boot
		if err := json.Unmarshal(text, &b); err != nil || len(k) != len(key{}) || keyOf(&b) != key(k) {
			return fmt.Errorf("%w: the entry %x is none", errDamaged, k)
		}
		all = append(all, b)
		return nil
	})
	if want := about.Get(number); err == nil && (len(want) != 8 || binary.BigEndian.Uint64(want) != uint64(len(all))) {
		return nil, fmt.Errorf("%w: it has %d boots, and says %x", errDamaged, len(all), want)
	}
	return all, err
}

// setAside moves a damaged file out of the way, and says so. One that was moved before makes place.
func (f *file) setAside(why error) {
	aside := f.path + ".damaged"
	if err := os.Rename(f.path, aside); err != nil {
		f.log.Error("the history of boots is damaged and can't be moved aside", "file", f.path, "err", err)
		return
	}
	f.log.Error("the history of boots is damaged: it is moved aside, and a new one is begun", "moved_to", aside, "err", why)
}

// update writes and removes entries in one transaction.
func (f *file) update(put map[key][]byte, gone map[key]bool) error {
	if f.db == nil {
		return nil // it was said when it was opened
	}
	err := guarded(func() error {
		return f.db.Update(func(tx *bbolt.Tx) error {
			b, more := tx.Bucket(boots), 0
			for k := range gone {
				if b.Get(k[:]) != nil {
					more--
				}
				if err := b.Delete(k[:]); err != nil {
					return err
				}
			}
			for k, text := range put {
				if b.Get(k[:]) == nil {
					more++
				}
				if err := b.Put(k[:], text); err != nil {
					return err
				}
			}
			return count(tx, more)
		})
	})
	if err != nil && damaged(err) {
		// What is in memory is written anew, with what comes.
		f.close()
		f.setAside(err)
		_, again := f.open()
		return errors.Join(err, again)
	}
	return err
}

func (f *file) close() {
	if f.db == nil {
		return
	}
	if err := guarded(f.db.Close); err != nil {
		f.log.Warn("the history of boots is not closed cleanly", "err", err)
	}
	f.db = nil
}

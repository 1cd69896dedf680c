package dhcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The database's buckets. Keys are a MAC and an address as text, values are JSON.
var (
	leaseBucket    = []byte("leases")   // MAC: leaseRecord
	declinedBucket = []byte("declined") // address: time until which it is left alone
)

// lockWait is how long the database may be locked by another process, which may be ending, before that is an error.
const lockWait = 300 * time.Millisecond

// leaseRecord is a lease as it is stored, without the MAC, which is its key.
type leaseRecord struct {
	Addr     netip.Addr `json:"addr"`
	Hostname string     `json:"hostname,omitempty"`
	Expires  time.Time  `json:"expires"`
}

// store is the database of leases.
type store struct {
	// db is nil as long as the disk lets none be opened.
	db   *bbolt.DB
	path string
	log  *slog.Logger
}

// openStore opens the database at path, or makes it, and its folder. What is wrong with the disk or the file costs the leases it
// would remember and nothing else: a damaged file is put aside, and without a file the leases are in memory only. Both are
// logged. An error is a mistake that only a person can mend.
func openStore(path string, log *slog.Logger) (*store, error) {
	if path == "" {
		return nil, errors.New("dhcp: server mode needs a file for its leases")
	}
	db, err := openDatabase(path)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("dhcp: the leases in %s are in use by another process; stop the other seeder of this site", path)
	}
	if damaged(err) {
		aside := path + ".damaged"
		log.Error("the file of the leases is damaged and was put aside; machines get their addresses anew", "file", path, "aside", aside, "err", err)
		if err = os.Rename(path, aside); err == nil {
			db, err = openDatabase(path)
		}
	}
	if err != nil {
		log.Error("leases are kept in memory only until this is corrected, and a restart of the seeder forgets them", "file", path, "err", err)
	}
	return &store{db: db, path: path, log: log}, nil
}

// damaged tells a file that is no database, or half of one, from a disk that gives nothing.
func damaged(err error) bool {
	return errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch)
}

// openDatabase opens the database with its buckets. It writes only what is not there, so that a full disk is no hindrance.
func openDatabase(path string) (*bbolt.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	// Whoever has the database open holds a lock on it.
	db, err := bbolt.Open(path, 0o644, &bbolt.Options{Timeout: lockWait})
	if err != nil {
		return nil, err
	}
	complete := false
	err = db.View(func(tx *bbolt.Tx) error {
		complete = tx.Bucket(leaseBucket) != nil && tx.Bucket(declinedBucket) != nil
		return nil
	})
	if err == nil && !complete {
		err = db.Update(func(tx *bbolt.Tx) error {
			_, err1 := tx.CreateBucketIfNotExists(leaseBucket)
			_, err2 := tx.CreateBucketIfNotExists(declinedBucket)
			return errors.Join(err1, err2)
		})
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (s *store) close() error {
	if s.db == nil {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("dhcp: close the leases in %s: %w", s.path, err)
	}
	return nil
}

// records are what the database knows. Times are the wall clock's.
type records struct {
	leases   []Lease
	declined map[netip.Addr]time.Time
}

// reopen opens the database if the disk let none be opened before.
func (s *store) reopen() (err error) {
	if s.db == nil {
		s.db, err = openDatabase(s.path)
	}
	return err
}

// save writes changes to the disk, all or none; they are there when it returns nil.
func (s *store) save(changes []change) error {
	if err := s.reopen(); err != nil {
		return err
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		leases, declined := tx.Bucket(leaseBucket), tx.Bucket(declinedBucket)
		for _, c := range changes {
			var err error
			switch l := c.lease; {
			case l.Addr.IsValid():
				err = put(leases, l.MAC.String(), leaseRecord{l.Addr, l.Hostname, l.Expires})
			case c.forget != nil:
				err = leases.Delete([]byte(c.forget.String()))
			case c.until.IsZero():
				err = declined.Delete([]byte(c.declined.String()))
			default:
				err = put(declined, c.declined.String(), c.until)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write to the leases in %s: %w", s.path, err)
	}
	return nil
}

func put(b *bbolt.Bucket, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), text)
}

// load reads everything back. A record that can't be read costs that record only.
func (s *store) load() (records, error) {
	known := records{declined: map[netip.Addr]time.Time{}}
	if s.db == nil {
		return known, nil
	}
	err := s.db.View(func(tx *bbolt.Tx) error {
		err := tx.Bucket(leaseBucket).ForEach(func(key, text []byte) error {
			l, err := readLease(string(key), text)
			if err != nil {
				s.log.Warn("a lease on the disk can't be read and is forgotten", "file", s.path, "err", err)
				return nil
			}
			known.leases = append(known.leases, l)
			return nil
		})
		return errors.Join(err, tx.Bucket(declinedBucket).ForEach(func(key, text []byte) error {
			addr, err := netip.ParseAddr(string(key))
			var until time.Time
			if err == nil {
				err = json.Unmarshal(text, &until)
			}
			if err != nil {
				s.log.Warn("an address in quarantine can't be read from the disk and is forgotten", "file", s.path, "err", err)
				return nil
			}
			known.declined[addr] = until
			return nil
		}))
	})
	if err != nil {
		return records{}, fmt.Errorf("dhcp: read the leases in %s: %w", s.path, err)
	}
	return known, nil
}

func readLease(key string, text []byte) (Lease, error) {
	mac, err := net.ParseMAC(key)
	if err != nil {
		return Lease{}, err
	}
	var r leaseRecord
	if err := json.Unmarshal(text, &r); err != nil {
		return Lease{}, fmt.Errorf("lease of %s: %w", key, err)
	}
	if !r.Addr.Is4() {
		return Lease{}, fmt.Errorf("lease of %s: %q is no IPv4 address", key, r.Addr)
	}
	return Lease{MAC: mac, Addr: r.Addr, Hostname: r.Hostname, Expires: r.Expires}, nil
}

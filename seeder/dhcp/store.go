package dhcp

import (
	"encoding/json"
	"errors"
	"fmt"
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
	db   *bbolt.DB
	path string
}

// openStore opens the database at path, or makes it, and its folder.
func openStore(path string) (*store, error) {
	if path == "" {
		return nil, errors.New("dhcp: server mode needs a file for its leases")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("dhcp: folder of the leases: %w", err)
	}
	// Whoever has the database open holds a lock on it.
	db, err := bbolt.Open(path, 0o644, &bbolt.Options{Timeout: lockWait})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("dhcp: the leases in %s are in use by another process; stop the other seeder of this site", path)
	case err != nil:
		return nil, fmt.Errorf("dhcp: open the leases in %s: %w; if the file is damaged, remove it (all leases are forgotten)", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err1 := tx.CreateBucketIfNotExists(leaseBucket)
		_, err2 := tx.CreateBucketIfNotExists(declinedBucket)
		return errors.Join(err1, err2)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dhcp: prepare the leases in %s: %w", path, err), db.Close())
	}
	return &store{db: db, path: path}, nil
}

func (s *store) close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("dhcp: close the leases in %s: %w", s.path, err)
	}
	return nil
}

// putLease writes a lease to disk; it is there when putLease returns.
func (s *store) putLease(l Lease) error {
	return s.put(leaseBucket, l.MAC.String(), leaseRecord{l.Addr, l.Hostname, l.Expires})
}

// putDeclined writes down an address in quarantine.
func (s *store) putDeclined(addr netip.Addr, until time.Time) error {
	return s.put(declinedBucket, addr.String(), until)
}

func (s *store) put(bucket []byte, key string, value any) error {
	text, err := json.Marshal(value)
	if err == nil {
		err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), text) })
	}
	if err != nil {
		return fmt.Errorf("write to the leases in %s: %w", s.path, err)
	}
	return nil
}

// load reads everything back.
func (s *store) load() ([]Lease, map[netip.Addr]time.Time, error) {
	var leases []Lease
	declined := map[netip.Addr]time.Time{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		err := tx.Bucket(leaseBucket).ForEach(func(key, text []byte) error {
			l, err := readLease(string(key), text)
			leases = append(leases, l)
			return err
		})
		return errors.Join(err, tx.Bucket(declinedBucket).ForEach(func(key, text []byte) error {
			addr, err := netip.ParseAddr(string(key))
			if err != nil {
				return err
			}
			var until time.Time
			err = json.Unmarshal(text, &until)
			declined[addr] = until
			return err
		}))
	})
	if err != nil {
		return nil, nil, fmt.Errorf("dhcp: read the leases in %s: %w; if the file is damaged, remove it (all leases are forgotten)", s.path, err)
	}
	return leases, declined, nil
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

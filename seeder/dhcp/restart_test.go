package dhcp

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boottorrent/boottorrent/internal/site"
)

// seeder is a pool with its database, for tests that stop and start it.
type seeder struct {
	t     *testing.T
	path  string
	clock testClock
	log   *lines
	*pool
	disk *store
}

func (s *seeder) start(cfg site.DHCP) {
	s.t.Helper()
	s.log = newLines()
	var err error
	if s.disk, err = openStore(s.path, slog.New(slog.NewTextHandler(s.log, nil))); err != nil {
		s.t.Fatal(err)
	}
	known, err := s.disk.load()
	if err != nil {
		s.t.Fatal(err)
	}
	s.pool = testPool(s.t, cfg, &s.clock)
	s.restore(known)
	s.write(forgotten(known, []*pool{s.pool}))
}

func (s *seeder) write(changes []change) {
	s.t.Helper()
	if err := s.disk.save(changes); err != nil {
		s.t.Fatal(err)
	}
}

func (s *seeder) stop() {
	s.t.Helper()
	if err := s.disk.close(); err != nil {
		s.t.Fatal(err)
	}
}

// give gives a machine a lease and writes it down.
func (s *seeder) give(n byte) netip.Addr {
	s.t.Helper()
	a := s.lease(s.t, machine(n))
	_, c, err := s.bind(machine(n), a)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write([]change{c})
	return a
}

func newSeeder(t *testing.T) *seeder {
	return &seeder{t: t, path: filepath.Join(t.TempDir(), "state", "leases.db"), clock: testClock{t: testStart}}
}

func TestLeasesSurviveRestart(t *testing.T) {
	s := newSeeder(t)
	s.start(testSite())
	a, b := s.give(1), s.give(2)
	if _, err := openStore(s.path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second seeder: %v", err)
	}
	s.stop()
	s.start(testSite())
	if leases := s.active(); len(leases) != 2 || leases[0].Expires != s.clock.t.Add(time.Hour) {
		t.Errorf("after a restart: %v", leases)
	}
	if got, fresh, err := s.choose(machine(1), netip.Addr{}); got != a || fresh || err != nil {
		t.Errorf("after a restart: %s, fresh %v, %v; want %s without a probe", got, fresh, err, a)
	}
	s.stop()
	// The address is now reserved for another machine.
	cfg := testSite()
	cfg.Reservations = []site.Reservation{{MAC: machine(7), Address: b}}
	s.start(cfg)
	defer s.stop()
	if leases := s.active(); len(leases) != 1 || leases[0].Addr != a {
		t.Errorf("after a change of reservations: %v", leases)
	}
}

// An address that was declined is nobody's after a restart, and once the quarantine is over it is probed before anybody gets it.
func TestQuarantineSurvivesRestart(t *testing.T) {
	s := newSeeder(t)
	s.start(testSite())
	a := s.give(1)
	s.write(s.quarantine(a))
	s.stop()
	s.start(testSite())
	if got, _, err := s.choose(machine(1), a); err != nil || got == a {
		t.Errorf("the address that it declined was offered again: %s, %v", got, err)
	}
	if _, _, err := s.bind(machine(1), a); err == nil {
		t.Error("the address that it declined could be taken")
	}
	s.stop()
	s.clock.t = s.clock.t.Add(quarantineTime)
	s.start(testSite())
	if got, fresh, err := s.choose(machine(1), a); err != nil || got != a || !fresh {
		t.Errorf("after the quarantine: %s, fresh %v, %v; want %s, to be probed", got, fresh, err, a)
	}
	s.stop()
	s.start(testSite())
	defer s.stop()
	if known, err := s.disk.load(); err != nil || len(known.declined) != 0 {
		t.Errorf("quarantines that are over stay on the disk: %v, %v", known.declined, err)
	}
}

// Leases and quarantines written by a clock years ahead end when they would have ended by a right one.
func TestClockWasYearsAhead(t *testing.T) {
	const years = 5 * 365 * 24 * time.Hour
	cfg := testSite()
	cfg.Reservations = nil
	s := newSeeder(t)
	s.clock.jumped = years
	s.start(cfg)
	for n := range byte(9) {
		s.give(n)
	}
	s.write(s.quarantine(cfg.Last))
	s.stop()
	s.clock.jumped = 0
	s.start(cfg)
	defer s.stop()
	if n := len(s.active()); n < 8 {
		t.Errorf("%d leases are left, want those that were given", n)
	}
	s.clock.t = s.clock.t.Add(cfg.Lease)
	for n := range byte(10) {
		if _, _, err := s.choose(machine(100+n), netip.Addr{}); err != nil {
			t.Fatalf("machine %d of 10: %v", n+1, err)
		}
	}
}

// A clock that jumps while the seeder runs, either way, changes nothing for the leases given.
func TestClockJumps(t *testing.T) {
	const years = 5 * 365 * 24 * time.Hour
	for name, jump := range map[string]time.Duration{"ahead": years, "back": -years} {
		t.Run(name, func(t *testing.T) {
			s := newSeeder(t)
			s.start(testSite())
			a := s.give(1)
			s.clock.jumped = jump
			if n := len(s.active()); n != 1 {
				t.Errorf("%d leases right after the jump, want 1", n)
			}
			if got := s.give(1); got != a {
				t.Errorf("it got %s, had %s", got, a)
			}
			s.stop()
			s.start(testSite()) // the clock stays as it is now
			defer s.stop()
			s.clock.t = s.clock.t.Add(59 * time.Minute)
			if n := len(s.active()); n != 1 {
				t.Errorf("%d leases a minute before the end, want 1", n)
			}
			s.clock.t = s.clock.t.Add(time.Minute)
			if n := len(s.active()); n != 0 {
				t.Errorf("%d leases after the end, want none", n)
			}
		})
	}
}

// Leases that ended long ago leave the disk, also those of machines whose address went to another.
func TestOldLeasesArePruned(t *testing.T) {
	s := newSeeder(t)
	s.start(testSite())
	s.give(1)
	s.stop()
	s.clock.t = s.clock.t.Add(keepTime)
	s.start(testSite())
	s.give(2)
	s.stop()
	s.clock.t = s.clock.t.Add(2 * time.Hour)
	s.start(testSite())
	s.stop()
	s.start(testSite())
	defer s.stop()
	known, err := s.disk.load()
	if err != nil || len(known.leases) != 1 || known.leases[0].MAC.String() != machine(2).String() {
		t.Errorf("on the disk: %v, %v; want the lease of %s alone", known.leases, err, machine(2))
	}
}

// A file that is damaged, a record that can't be read and a disk that takes nothing cost what was written there, and no boot.
func TestBrokenDisk(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		s := newSeeder(t)
		if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.path, []byte(strings.Repeat("no database ", 4096)), 0o644); err != nil {
			t.Fatal(err)
		}
		s.start(testSite())
		s.give(1)
		s.stop()
		s.log.wait(t, "damaged", "aside="+s.path+".damaged")
		s.start(testSite())
		defer s.stop()
		if n := len(s.active()); n != 1 {
			t.Errorf("%d leases, want the new one", n)
		}
	})
	t.Run("record", func(t *testing.T) {
		s := newSeeder(t)
		s.start(testSite())
		s.give(1)
		s.write([]change{{lease: Lease{MAC: machine(2), Addr: netip.MustParseAddr("fe80::1"), Expires: s.clock.t}}})
		s.stop()
		s.start(testSite())
		defer s.stop()
		s.log.wait(t, "can't be read", machine(2).String())
		if n := len(s.active()); n != 1 {
			t.Errorf("%d leases, want that of the other record", n)
		}
	})
	t.Run("folder", func(t *testing.T) {
		s := newSeeder(t)
		// A file stands where the folder should be, as where the disk is full or read-only.
		if err := os.WriteFile(filepath.Dir(s.path), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		cfg := Config{Site: testSite(), Interfaces: []Interface{testIface}, Boot: testBoot, Leases: s.path, Log: slog.New(slog.DiscardHandler)}
		server, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What can't be written is said, is written as soon as it can be, and everybody is answered meanwhile.
func TestJournalRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		full.Store(true)
		saved := map[string]bool{}
		log := newLines()
		j := newJournal(func(changes []change) error {
			if full.Load() {
				return errors.New("no space left on device")
			}
			for _, c := range changes {
				saved[c.lease.MAC.String()] = true
			}
			return nil
		}, slog.New(slog.NewTextHandler(log, nil)))
		failed := 0
		for n := range byte(3) {
			j.write([]change{{lease: Lease{MAC: machine(n), Addr: addr("10.77.0.50")}}}, func(err error) {
				if err != nil {
					failed++
				}
			})
			synctest.Wait()
		}
		if failed != 3 || !strings.Contains(log.text(), "make room") {
			t.Errorf("%d of 3 were told; the log:\n%s", failed, log.text())
		}
		full.Store(false)
		time.Sleep(retryTime + time.Second)
		synctest.Wait()
		if len(saved) != 3 {
			t.Errorf("%d of 3 were written when there was room again", len(saved))
		}
		j.close()
		if j.write(nil, nil) {
			t.Error("it takes changes after it was closed")
		}
	})
}

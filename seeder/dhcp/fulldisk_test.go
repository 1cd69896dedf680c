package dhcp

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

// On a disk that is really full, at the start or later, every machine is answered; what it was given is on the disk when there is
// room again.
func TestFullDisk(t *testing.T) {
	need.Root(t)
	for _, early := range []bool{true, false} {
		t.Run(fmt.Sprintf("at the start %v", early), func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			filler := filepath.Join(dir, "filler")
			fill := func() {
				f, err := os.Create(filler)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				for block := make([]byte, 4096); ; {
					if _, err := f.Write(block); err != nil {
						return
					}
				}
			}
			log := newLines()
			cfg := Config{Site: testSite(), Interfaces: []Interface{testIface}, Boot: testBoot, Leases: filepath.Join(dir, "leases.db"),
				Log: slog.New(slog.NewTextHandler(log, nil))}
			cfg.Site.Reservations = nil
			if early {
				fill()
			}
			s, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !early {
				fill()
			}
			give := func(n byte) {
				t.Helper()
				a := s.pools[0].lease(t, machine(n))
				_, c, err := s.pools[0].bind(machine(n), a)
				if err != nil {
					t.Fatal(err)
				}
				answered := make(chan error, 1)
				if !s.journal.write([]change{c}, func(err error) { answered <- err }) {
					t.Fatal("nothing was queued")
				}
				<-answered
			}
			for n := range byte(5) {
				give(n)
			}
			if early {
				log.wait(t, "level=ERROR", "in memory only")
				log.wait(t, "level=ERROR", "can't be written to the disk")
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			give(5)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = New(cfg); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if n := len(s.pools[0].active()); n != 6 {
				t.Errorf("%d leases after a restart, want 6", n)
			}
		})
	}
}

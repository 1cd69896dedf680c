package counter

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// clock is a clock that stands still.
type clock struct{ at int64 }

func (c *clock) now() time.Time { return time.Unix(c.at, 0) }

func open(dir string, c *clock) *Counter { return Open(dir, slog.New(slog.DiscardHandler), c.now) }

// next draws a number, which has to be on the disk by then.
func next(t *testing.T, c *Counter, dir string) uint64 {
	t.Helper()
	n, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if saved, err := Read(dir); err != nil || saved != n {
		t.Fatalf("%d was given out while %d is on the disk (%v)", n, saved, err)
	}
	return n
}

// What comes of clocks and states: each line goes on from the one before.
func TestGrows(t *testing.T) {
	dir, watch := t.TempDir(), &clock{1000}
	c := open(dir, watch)
	for _, step := range []struct {
		what  string
		clock int64
		// restart opens the state anew, after lose took it away.
		restart, lose bool
		want          uint64
	}{
		{"the first is the time of day", 1000, false, false, 1000},
		{"two in a second", 1000, false, false, 1001},
		{"time passes", 1005, false, false, 1005},
		{"the clock is set back", 500, false, false, 1006},
		{"a restart, and the clock is still behind", 500, true, false, 1007},
		{"the clock is right again", 1010, false, false, 1010},
		{"the state is lost", 1020, true, true, 1020},
		{"before 1970", -5, true, false, 1021},
	} {
		watch.at = step.clock
		if step.lose {
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
		if step.restart {
			c = open(dir, watch)
		}
		if got, up := next(t, c, dir), c.Upcoming(); got != step.want || up <= got {
			t.Errorf("%s: %d, then %d, want %d", step.what, got, up, step.want)
		}
	}
}

// A machine that takes over, without the state of the one before, goes on above it if its clock is right.
func TestAnotherMachine(t *testing.T) {
	one, other, watch := t.TempDir(), t.TempDir(), &clock{2000}
	before := next(t, open(one, watch), one)
	watch.at++
	if after := next(t, open(other, watch), other); after <= before {
		t.Errorf("the second machine gives %d after %d", after, before)
	}
}

func TestDamaged(t *testing.T) {
	for _, text := range []string{"", "abc\n", "-1\n", "18446744073709551615\n", "9007199254740992\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: %v", text, err)
		}
		if n := next(t, open(dir, &clock{77}), dir); n != 77 {
			t.Errorf("after %q comes %d", text, n)
		}
	}
	if _, err := Read(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}

// At its end it stays, and does not begin anew.
func TestEnd(t *testing.T) {
	dir := t.TempDir()
	c := open(dir, &clock{catalog.MaxCounter - 1})
	for _, want := range []uint64{catalog.MaxCounter - 1, catalog.MaxCounter, catalog.MaxCounter} {
		if n := next(t, c, dir); n != want {
			t.Errorf("%d, want %d", n, want)
		}
	}
}

// On a full disk numbers go on, it is said once, and what is missing is written as soon as there is room.
func TestFullDisk(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	var said strings.Builder
	c := Open(dir, slog.New(slog.NewTextHandler(&said, nil)), (&clock{10}).now)
	next(t, c, dir)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 60<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{11, 12} {
		if n, err := c.Next(); n != want || !errors.Is(err, unix.ENOSPC) || c.Err() == nil {
			t.Errorf("%d, %v, want %d", n, err, want)
		}
	}
	if n, err := Read(dir); n != 10 || err != nil {
		t.Errorf("on the full disk is %d, %v", n, err)
	}
	if n := strings.Count(said.String(), "can't be written down"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, &said)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	c.Retry()
	if n, err := Read(dir); n != 12 || err != nil || c.Err() != nil {
		t.Errorf("when there is room there is %d, %v, %v", n, err, c.Err())
	}
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	c := open(dir, &clock{1})
	var mu sync.Mutex
	seen := map[uint64]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				n, err := c.Next()
				mu.Lock()
				if err != nil || seen[n] {
					t.Errorf("%d was given twice, or %v", n, err)
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if n, err := Read(dir); n != 80 || err != nil {
		t.Errorf("80 numbers later there is %d, %v", n, err)
	}
}

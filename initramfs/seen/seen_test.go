package seen

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func file(t *testing.T) string { return filepath.Join(t.TempDir(), "run", "boottorrent", "seen") }

func TestRefuses(t *testing.T) {
	m := New(file(t))
	for _, step := range []struct {
		counter uint64
		refused bool
	}{{0, false}, {0, false}, {100, false}, {100, false}, {99, true}, {0, true}, {101, false}, {100, true}} {
		err := m.Check(step.counter, "http://10.0.0.1:8080")
		var old *OldError
		if errors.As(err, &old) != step.refused {
			t.Errorf("%d: %v", step.counter, err)
		}
		if err == nil {
			if err := m.Raise(step.counter); err != nil {
				t.Error(err)
			}
		}
	}
	if n, err := m.Highest(); n != 101 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A program that is started again, or runs beside the first, knows what that has seen.
func TestShared(t *testing.T) {
	path := file(t)
	one, other := New(path), New(path)
	if err := one.Raise(5); err != nil {
		t.Fatal(err)
	}
	if err := other.Raise(3); err != nil {
		t.Fatal(err)
	}
	if err := other.Raise(7); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*Memory{"one": one, "other": other, "one that begins": New(path)} {
		if n, err := m.Highest(); n != 7 || err != nil {
			t.Errorf("%s knows %d, %v", name, n, err)
		}
	}
}

// What is damaged is told, and written anew; a file that can't be written costs this program nothing.
func TestDamaged(t *testing.T) {
	path := file(t)
	m := New(path)
	if err := m.Raise(5); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := m.Highest(); n != 5 || err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%d, %v", n, err)
	}
	if err := m.Raise(5); err != nil {
		t.Error(err)
	}
	if n, err := New(path).Highest(); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	lost := New(filepath.Join(path, "seen"))
	if err := lost.Raise(6); err == nil {
		t.Error("written below a file")
	}
	if err := lost.Check(5, "x"); err == nil {
		t.Error("forgotten at once")
	}
}

func TestWords(t *testing.T) {
	m := New(file(t))
	if err := errors.Join(m.RaiseByStick(100), m.Raise(200)); err != nil {
		t.Fatal(err)
	}
	for counter, want := range map[uint64][]string{
		150: {"http://10.0.0.1 offers a catalog with the counter 150, and this machine has seen one in this boot with the counter 200",
			"somebody may be replaying", "state of the seeder was lost", "clock is right", "write 200 into .boottorrent/counter", "can start this machine again"},
		50: {"the stick that this machine was started from has seen one with the counter 100", "starting again doesn't help"},
		0:  {"a catalog without a counter (its seeder is of an older release), and", "install the newer release again"},
	} {
		var old *OldError
		if err := m.Check(counter, "http://10.0.0.1"); !errors.As(err, &old) {
			t.Fatal(err)
		}
		for _, w := range want {
			if text := old.Error() + "\n" + old.Advice(); !strings.Contains(text, w) {
				t.Errorf("%d: %q is not in:\n%s", counter, w, text)
			}
		}
	}
}

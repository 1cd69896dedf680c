package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// systemOf makes a system in a folder, which has a file that says which one it is.
func systemOf(t *testing.T, dir, which string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "which"), []byte(which), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func expectSystem(t *testing.T, dir, want string) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(dir, "which")); err != nil || string(got) != want {
		t.Errorf("%s has the system %q (%v), want %q", dir, got, err, want)
	}
}

func newTestStaging(t *testing.T, oss string) *staging {
	t.Helper()
	s, err := newStaging(oss)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Where the file system can't exchange two folders at once, one is replaced all the same, and the replacing can be undone.
func TestPlaceSimply(t *testing.T) {
	oss := t.TempDir()
	target := filepath.Join(oss, "debian")
	systemOf(t, target, "old")
	s := newTestStaging(t, oss)
	made := filepath.Join(s.dir, "debian")
	systemOf(t, made, "new")
	if _, err := s.placeSimply(target, made, false); err == nil {
		t.Error("a system is replaced though nobody asked for that")
	}
	undo, err := s.placeSimply(target, made, true)
	if err != nil {
		t.Fatal(err)
	}
	expectSystem(t, target, "new")
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	expectSystem(t, target, "old")
	expectSystem(t, made, "new")
	if err := s.remove(); err != nil {
		t.Fatal(err)
	}
	expectSystem(t, target, "old")
}

// An import that is killed between the two moves of placeSimply leaves the old system in its staging folder alone. The next import puts
// it back; but not over a new one that came to its place.
func TestKilledBetweenMoves(t *testing.T) {
	for want, there := range map[string]bool{"old": false, "new": true} {
		oss := t.TempDir()
		target := filepath.Join(oss, "debian")
		systemOf(t, target, "old")
		killed := newTestStaging(t, oss)
		replaced := filepath.Join(killed.dir, tempDir, replacedDir)
		if err := errors.Join(os.Mkdir(replaced, 0o700), os.Rename(target, filepath.Join(replaced, "debian"))); err != nil {
			t.Fatal(err)
		}
		if there {
			systemOf(t, target, "new")
		}
		killed.lock.Close()
		next := newTestStaging(t, oss)
		expectSystem(t, target, want)
		if _, err := os.Lstat(killed.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder of the import that was killed: %v", err)
		}
		if err := next.remove(); err != nil {
			t.Fatal(err)
		}
	}
}

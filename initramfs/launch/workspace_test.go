package launch

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

// workspaceJob is a job with a file, whose folder's name has characters in it that mean something to overlayfs.
func workspaceJob(t *testing.T) Job {
	t.Helper()
	need.Namespaces(t) // to mount
	job := Job{Dir: filepath.Join(t.TempDir(), "a,b:c"), Scratch: t.TempDir()}
	if err := os.Mkdir(job.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// What is being seeded is on the same kind of file system as a node's.
	if err := unix.Mount("tmpfs", job.Dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(job.Dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(job.Dir, "data"), []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	return job
}

// closed checks that a workspace leaves nothing behind, and what is seeded as it was.
func closed(t *testing.T, job Job, w *workspace) {
	t.Helper()
	if err := errors.Join(w.close(), w.close()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(job.Scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), job.Scratch) {
		t.Errorf("still mounted, or %v", err)
	}
	if got := contents(t, job.Dir); len(got) != 1 || got[filepath.Join(job.Dir, "data")] != "precious" {
		t.Errorf("what is seeded is now %q", got)
	}
}

// A guest writes over, beside, renames and removes what it sees, until the room for that is full; of what is being seeded nothing changes.
func TestWorkspace(t *testing.T) {
	need.Overlay(t, "TestGuestsOnSerialLines")
	job := workspaceJob(t)
	const size = 4 << 20
	w, err := newWorkspace(job, size)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(w.dir, name) }
	if err := errors.Join(os.WriteFile(in("data"), []byte("scribbled"), 0o644), os.WriteFile(in("more"), []byte("x"), 0o600),
		os.Rename(in("data"), in("other")), os.WriteFile(filepath.Join(w.temp, "t"), nil, 0o600)); err != nil {
		t.Error(err)
	}
	if got := contents(t, w.dir); got[in("other")] != "scribbled" || len(got) != 2 {
		t.Errorf("the guest sees %q", got)
	}
	if err := os.WriteFile(in("large"), make([]byte, 2*size), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("more than there is room for: %v", err)
	}
	if err := os.Remove(in("other")); err != nil {
		t.Error(err)
	}
	// A process that can't be killed may have a file open: that keeps nothing.
	open, err := os.Open(in("more"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	closed(t, job, w)
	again, err := newWorkspace(job, size)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := os.ReadFile(filepath.Join(again.dir, "data")); err != nil || string(body) != "precious" {
		t.Errorf("another guest sees %q, %v", body, err)
	}
	closed(t, job, again)
}

// Without overlayfs the files can be read, and what a program puts beside them goes elsewhere.
func TestReadOnlyWorkspace(t *testing.T) {
	job := workspaceJob(t)
	w, err := readOnlyWorkspace(job, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(w.dir, "data")
	if body, err := os.ReadFile(data); err != nil || string(body) != "precious" {
		t.Errorf("%q, %v", body, err)
	}
	for name, err := range map[string]error{
		"writing": os.WriteFile(data, nil, 0o644), "removing": os.Remove(data), "making": os.WriteFile(data+"2", nil, 0o644), "modes": os.Chmod(data, 0o777),
	} {
		if !errors.Is(err, unix.EROFS) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(w.temp, "t"), make([]byte, 2<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("more than there is room for: %v", err)
	}
	closed(t, job, w)
}

// What can't be mounted leaves nothing behind, and says what it was.
func TestWorkspaceFails(t *testing.T) {
	job := workspaceJob(t)
	gone := job
	gone.Dir = filepath.Join(job.Scratch, "gone")
	_, err := newWorkspace(gone, 1<<20)
	if !errors.Is(err, os.ErrNotExist) || !errors.Is(err, errNoOverlay) || !strings.Contains(err.Error(), gone.Dir) {
		t.Error(err)
	}
	if _, err = readOnlyWorkspace(gone, 1<<20); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), gone.Dir) {
		t.Error(err)
	}
	if left, err := os.ReadDir(job.Scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

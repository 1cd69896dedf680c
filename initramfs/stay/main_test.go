package stay

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

// initSide is init's side of the descriptors.
type initSide struct {
	d       Descriptors
	run     string
	started *os.File
	ready   *os.File
}

func newInitSide(t *testing.T, plan Plan) *initSide {
	t.Helper()
	s := &initSide{run: t.TempDir()}
	b, err := json.Marshal(plan)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.run, PlanName), b, 0o600)
	}
	var errs [3]error
	s.d.Started, s.started, errs[0] = os.Pipe()
	s.ready, s.d.Ready, errs[1] = os.Pipe()
	s.d.Status, errs[2] = os.Open(s.run)
	if err := errors.Join(append(errs[:], err)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.started.Close(); s.ready.Close(); s.d.Status.Close() })
	return s
}

// oldRoot is a root file system in memory, with something mounted in it.
func oldRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	t.Cleanup(func() {
		if err := errors.Join(unix.Unmount(filepath.Join(root, "mounted/here"), 0), unix.Unmount(root, 0)); err != nil {
			t.Error(err)
		}
	})
	for _, err := range []error{
		unix.Mount("old", root, "tmpfs", 0, ""), os.MkdirAll(filepath.Join(root, "bbin/deep/er"), 0o755), os.MkdirAll(filepath.Join(root, "mounted/here"), 0o755),
		os.MkdirAll(filepath.Join(root, "elsewhere"), 0o755),
		unix.Mount("other", filepath.Join(root, "mounted/here"), "tmpfs", 0, ""),
		os.WriteFile(filepath.Join(root, "bbin/deep/er/bb"), make([]byte, 1000), 0o755), os.WriteFile(filepath.Join(root, "mounted/here/kept"), nil, 0o644),
		os.WriteFile(filepath.Join(root, "mounted/gone"), nil, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func names(t *testing.T, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		all = append(all, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Where nothing is to be given away the process waits for the system's init, empties the old root file system but what is mounted
// there and what links lead to, says so, and ends.
func TestOnlyEmptiesTheOldRoot(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	plan := newPlan(t, t.TempDir(), 100_000)
	plan.Give = false
	s, root := newInitSide(t, plan), oldRoot(t)
	outside := filepath.Join(t.TempDir(), "kept")
	if err := errors.Join(os.WriteFile(outside, nil, 0o644), os.Symlink(filepath.Dir(outside), filepath.Join(root, "link"))); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Run(t.Context(), s.d, t.TempDir(), root, t.Logf) }()
	if n, err := s.ready.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatalf("the sign that it is ready is %d bytes, %v", n, err)
	}
	if all := names(t, root); len(all) < 10 {
		t.Errorf("before the system's init runs, there is only %q", all)
	}
	s.started.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if all := names(t, root); len(all) != 4 || all[3] != "mounted/here/kept" {
		t.Errorf("there is still %q", all)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
	if status := readStatus(s.run); status.State != Off || status.System != "debian" {
		t.Errorf("the status is %+v", status)
	}
}

// When the system's init can't be run, boot needs everything that is there.
func TestLeavesAllWhenInitCannotBeRun(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	dir := t.TempDir()
	s, root := newInitSide(t, newPlan(t, dir, 100_000)), oldRoot(t)
	before := names(t, root)
	if _, err := s.started.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), s.d, dir, root, t.Logf); err != nil {
		t.Fatal(err)
	}
	if after := names(t, root); len(after) != len(before) {
		t.Errorf("of %q there is %q", before, after)
	}
}

// What isn't in memory is never emptied: it would be somebody's disk.
func TestEmptiesNoDisk(t *testing.T) {
	if err := removeRoot("/proc"); !errors.Is(err, ErrNotInitramfs) {
		t.Errorf("%v, want %v", err, ErrNotInitramfs)
	}
}

// A system without its plan or its files runs all the same, and the memory of the initramfs is free.
func TestWithoutFiles(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	s, root := newInitSide(t, newPlan(t, t.TempDir(), 100_000)), oldRoot(t)
	s.started.Close()
	if err := Run(t.Context(), s.d, t.TempDir(), root, t.Logf); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if all := names(t, root); len(all) != 4 {
		t.Errorf("there is still %q", all)
	}
}

func TestStatusIsWrittenWhenSomethingChanges(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	f := statusFile{dir: dir, now: func() time.Time { return now }}
	set := func(s Status) {
		t.Helper()
		if err := f.set(s); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want Status) {
		t.Helper()
		if got := readStatus(dir.Name()); got != want {
			t.Errorf("the file says %+v, want %+v", got, want)
		}
	}
	giving := Status{State: Giving, Address: "10.0.0.1:6881"}
	set(giving)
	giving.Since = now
	is(giving)
	busy := giving
	busy.Given, busy.Peers = 1000, 2
	now = now.Add(time.Second)
	set(busy)
	is(giving) // only numbers, a second later
	now = now.Add(numbersTime)
	set(busy)
	is(busy)
	busy.Address = "10.0.0.2:6881"
	set(busy)
	is(busy)
	waiting := Status{State: Waiting, Given: 1000}
	set(waiting)
	waiting.Since = now
	is(waiting)
	if entries, err := os.ReadDir(dir.Name()); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// The group becomes idle once the system has its groups compete for the processor, as far as the kernel knows how.
func TestGroupBecomesIdle(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	g := &Group{dir: dir}
	(*Group)(nil).BeIdle()
	if g.BeIdle(); g.idle {
		t.Error("idle without anything that says so")
	}
	for _, name := range []string{"cpu.weight", "cpu.idle"} { // the second is of newer kernels
		path := filepath.Join(dir.Name(), name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		g.idle = false
		g.BeIdle()
		if b, err := os.ReadFile(path); err != nil || string(b) != "1" || !g.idle {
			t.Errorf("%s is %q, %v", name, b, err)
		}
	}
}

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// smallDisk makes a folder a file system of its own, of so many bytes as the options of tmpfs say.
func smallDisk(t *testing.T, dir, size string) {
	t.Helper()
	need.Namespaces(t)
	must(t, os.MkdirAll(dir, 0o755))
	must(t, unix.Mount("none", dir, "tmpfs", 0, "size="+size))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

// fill leaves no room on the file system of a folder until the file that it returns is removed.
func fill(t *testing.T, dir string) (file string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	must(t, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return f.Name()
}

// leftovers are what is in the store beside the versions that are published.
func (r *running) leftovers() (names []string) {
	r.t.Helper()
	published := map[string]bool{"index.db": true}
	for _, sys := range r.catalog().Systems {
		published[sys.InfoHash.String()] = true
	}
	entries, err := os.ReadDir(filepath.Join(r.dir, site.StateDir, "store"))
	must(r.t, err)
	for _, e := range entries {
		if !published[e.Name()] {
			names = append(names, e.Name())
		}
	}
	return names
}

// A system that has no room on the disk costs no other one. It is said once why, nothing half-made stays, and it is published when there is
// room.
func TestFullDiskIsTheSystemsOwn(t *testing.T) {
	s := newSite(t)
	state := filepath.Join(s.Dir, site.StateDir)
	smallDisk(t, state, "4m")
	writeSystem(t, s.Dir, "big", 'b')
	must(t, os.WriteFile(filepath.Join(s.Dir, site.SystemsDir, "big", "vmlinuz"), kernel(6<<20, 'b'), 0o644))
	writeSystem(t, s.Dir, "two", 'c')
	r := start(t, load(t, s))
	r.awaitState("one", status.Published)
	r.awaitState("two", status.Published)
	if sys := r.awaitState("big", status.LeftOut); len(sys.Problems) != 1 || !strings.Contains(sys.Problems[0], "its copy needs 6.0 MiB") {
		t.Errorf("big: %+v", sys)
	}

	// On a disk that is full to the last byte, what needs no copy is published.
	filler := fill(t, state)
	writeSystem(t, s.Dir, "three", 'd')
	if sys := r.awaitState("three", status.LeftOut); len(sys.Problems) == 0 || !strings.Contains(strings.Join(sys.Problems, ""), "no space left on device") {
		t.Errorf("three: %+v", sys)
	}
	config := filepath.Join(s.Dir, site.SystemsDir, "two", site.SystemFile)
	must(t, os.WriteFile(config, []byte("dispname: Another title\nmethod: kexec\nkernel: vmlinuz\n"), 0o644))
	r.await("another title", func(c *catalog.Catalog) bool { two, ok := c.System("two"); return ok && two.Title == "Another title" })
	for _, sys := range r.catalog().Systems {
		r.get(catalog.TorrentPath(sys.InfoHash))
		r.get(sys.FilePath("vmlinuz"))
	}
	if left := r.leftovers(); len(left) > 0 {
		t.Errorf("in the store there is also %q", left)
	}
	if n := strings.Count(r.log.all(), "a system has a problem, and is left out\" system=three"); n != 1 {
		t.Errorf("that three is left out was logged %d times", n)
	}

	must(t, os.Remove(filler))
	must(t, unix.Mount("none", state, "tmpfs", unix.MS_REMOUNT, "size=32m"))
	r.awaitState("three", status.Published)
	r.awaitState("big", status.Published)
	r.await("all of them", func(c *catalog.Catalog) bool { return len(c.Systems) == 4 }) // a moment after their state
	if left := r.leftovers(); len(left) > 0 {
		t.Errorf("in the end there is also %q in the store", left)
	}
}

// Files from years ahead, which came with another machine's clock, are published as fast as any, and so are changes that leave size and
// modification time as they are.
func TestFilesFromTheFuture(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	write := func(fill byte, year int) {
		t.Helper()
		writeSystem(t, s.Dir, "one", fill)
		for _, name := range []string{"vmlinuz", site.SystemFile, "."} {
			at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			must(t, os.Chtimes(filepath.Join(s.Dir, site.SystemsDir, "one", name), at, at))
		}
	}
	write('a', 2100)
	r := start(t, load(t, s))
	last := r.catalog().Systems[0]
	for i, year := range []int{2100, 2400, 1960} {
		write('b'+byte(i), year)
		last, _ = r.await("a new version", func(c *catalog.Catalog) bool {
			one, ok := c.System("one")
			return ok && one.InfoHash != last.InfoHash
		}).System("one")
	}
}

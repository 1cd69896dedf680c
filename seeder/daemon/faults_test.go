package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// system is the folder of a system.
func (r *running) system(name string) string { return filepath.Join(r.dir, site.SystemsDir, name) }

// awaitState waits until a system is in a state, as the seeder's API tells it.
func (r *running) awaitState(name string, want status.State) status.System {
	r.t.Helper()
	var now status.Site
	for deadline := time.Now().Add(need.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		now = status.Site{}
		must(r.t, json.Unmarshal(r.get(status.Path), &now))
		if i := slices.IndexFunc(now.Systems, func(s status.System) bool { return s.Name == name && s.State == want }); i >= 0 {
			return now.Systems[i]
		}
	}
	r.t.Fatalf("%s did not come to be %s: %+v", name, want, now)
	return status.System{}
}

// spoil are ways to make a system that can't be offered.
var spoil = map[string]func(folder string) error{
	"no-yaml": func(dir string) error {
		return os.WriteFile(filepath.Join(dir, site.SystemFile), []byte("dispname: [\n"), 0o644)
	},
	"no-kernel": func(dir string) error { return os.Remove(filepath.Join(dir, "vmlinuz")) },
	"empty":     func(dir string) error { return os.Truncate(filepath.Join(dir, "vmlinuz"), 0) },
	"bits32": func(dir string) error {
		b := kernel(4096, 0)
		b[0x236] = 0
		return os.WriteFile(filepath.Join(dir, "vmlinuz"), b, 0o644)
	},
	"config-dir": func(dir string) error {
		return replace(filepath.Join(dir, site.SystemFile), func(p string) error { return os.Mkdir(p, 0o755) })
	},
	"fifo": func(dir string) error {
		return replace(filepath.Join(dir, "vmlinuz"), func(p string) error { return unix.Mkfifo(p, 0o644) })
	},
	"loop": func(dir string) error {
		return replace(filepath.Join(dir, "vmlinuz"), func(p string) error { return os.Symlink("vmlinuz", p) })
	},
	"dangling": func(dir string) error {
		config := "dispname: dangling\nmethod: bin\nbin: run\n"
		if err := os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, site.SystemFile), []byte(config), 0o644); err != nil {
			return err
		}
		return os.Symlink("nowhere", filepath.Join(dir, "link"))
	},
}

func replace(path string, with func(string) error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return with(path)
}

// Whatever is wrong with a system, at the start and later, the others are published. A system that was published keeps its last version,
// also over a restart, and others are left out; the API says why. When it is mended, it is published again.
func TestFaultIsTheSystemsOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, damage := range spoil {
		writeSystem(t, s.Dir, name, name[0])
		must(t, damage(filepath.Join(s.Dir, site.SystemsDir, name)))
		writeSystem(t, s.Dir, "was-"+name, name[0])
	}
	must(t, os.MkdirAll(filepath.Join(s.Dir, site.SystemsDir, "unfinished"), 0o755))
	must(t, os.Symlink("nowhere", filepath.Join(s.Dir, site.SystemsDir, "gone")))

	good := map[string]catalog.InfoHash{}
	t.Run("served", func(t *testing.T) {
		r := start(t, load(t, s))
		for _, sys := range r.catalog().Systems {
			good[sys.Name] = sys.InfoHash
		}
		if len(good) != 1+len(spoil) {
			t.Errorf("published are %v", good)
		}
		for name := range spoil {
			if sys := r.awaitState(name, status.LeftOut); len(sys.Problems) == 0 || sys.InfoHash != nil {
				t.Errorf("%s: %+v", name, sys)
			}
		}
		r.awaitState("gone", status.LeftOut)
		r.awaitState("unfinished", status.Unfinished)
		for name, damage := range spoil {
			must(t, damage(r.system("was-"+name)))
		}
		for name := range spoil {
			r.checkKept("was-"+name, good)
		}
		writeSystem(t, r.dir, "new", 'n')
		r.awaitState("new", status.Published)
	})
	t.Run("served again", func(t *testing.T) {
		r := start(t, load(t, s))
		for name := range spoil {
			r.checkKept("was-"+name, good)
			must(t, os.RemoveAll(r.system("was-"+name)))
		}
		r.await("no system but those that are whole", func(c *catalog.Catalog) bool { return len(c.Systems) == 2 })
		must(t, os.RemoveAll(r.system("no-kernel")))
		writeSystem(t, r.dir, "no-kernel", 'k')
		r.awaitState("no-kernel", status.Published)
	})
}

// checkKept checks that nodes get the version of a system from before it was broken.
func (r *running) checkKept(name string, good map[string]catalog.InfoHash) {
	r.t.Helper()
	kept := r.awaitState(name, status.Kept)
	sys, listed := r.catalog().System(name)
	if len(kept.Problems) == 0 || kept.InfoHash == nil || *kept.InfoHash != good[name] || !listed || sys.InfoHash != good[name] {
		r.t.Errorf("%+v; in the catalog: %v, %s; want %s", kept, listed, sys.InfoHash, good[name])
	}
	r.get(catalog.TorrentPath(good[name]))
	r.get(sys.FilePath("vmlinuz"))
}

// load reads a site as it is now.
func load(t *testing.T, s *site.Site) *site.Site {
	t.Helper()
	s, problems := site.Load(s.Dir)
	if s == nil {
		t.Fatal(problems)
	}
	return s
}

// A file that is rewritten in place, in parts and with pauses, is published once, when its writer has closed it. Another system, and the
// site's configuration, are published meanwhile.
func TestHalfAFileIsNeverPublished(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := start(t, s)
	old := r.catalog().Systems[0]
	f, err := os.OpenFile(filepath.Join(r.system("one"), "vmlinuz"), os.O_WRONLY, 0)
	must(t, err)
	body := kernel(300<<10, 'z')
	for i, name := range []string{"two", "three", "four"} {
		must1(t)(f.Write(body[i*100<<10 : (i+1)*100<<10]))
		writeSystem(t, s.Dir, name, 'b')
		r.awaitState(name, status.Published)
		if sys := r.awaitState("one", status.Writing); *sys.InfoHash != old.InfoHash {
			t.Errorf("while it is written, nodes get %s", sys.InfoHash)
		}
	}
	must(t, f.Close())
	c := r.await("the new version", func(c *catalog.Catalog) bool {
		one, ok := c.System("one")
		return ok && one.InfoHash != old.InfoHash
	})
	one, _ := c.System("one")
	if got := r.get(one.FilePath("vmlinuz")); string(got) != string(body) {
		t.Error("another content was published")
	}
	if n := strings.Count(r.log.all(), "storing and hashing system\" system=one "); n != 2 {
		t.Errorf("it was stored %d times, want before and after", n)
	}
}

func must1(t *testing.T) func(int, error) {
	return func(_ int, err error) { t.Helper(); must(t, err) }
}

// What says publish: manual is published by an order alone; until then nodes get what they got before.
func TestPublishManual(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	manual := func(fill byte) {
		writeSystem(t, s.Dir, "two", fill)
		config := "dispname: two\nmethod: kexec\nkernel: vmlinuz\npublish: manual\n"
		must(t, os.WriteFile(filepath.Join(s.Dir, site.SystemsDir, "two", site.SystemFile), []byte(config), 0o644))
	}
	manual('a')
	r := start(t, load(t, s))
	control := Control{Dir: s.Dir}
	if sys := r.awaitState("two", status.Manual); sys.InfoHash != nil {
		t.Errorf("before the first order: %+v", sys)
	}
	first, err := control.Publish(t.Context(), "two")
	must(t, err)
	if sys, ok := r.catalog().System("two"); first.State != status.Published || !ok || sys.InfoHash != *first.InfoHash {
		t.Errorf("%+v; in the catalog: %v", first, ok)
	}
	manual('b')
	if sys := r.awaitState("two", status.Manual); sys.InfoHash == nil || *sys.InfoHash != *first.InfoHash {
		t.Errorf("changed: %+v", sys)
	}
	second, err := control.Publish(t.Context(), "two")
	must(t, err)
	if second.State != status.Published || *second.InfoHash == *first.InfoHash {
		t.Errorf("the second order: %+v", second)
	}
	if _, err := control.Publish(t.Context(), "three"); err == nil || !strings.Contains(err.Error(), "no such system; give the name") {
		t.Errorf("of a system that isn't there: %v", err)
	}
	f, err := os.OpenFile(filepath.Join(r.system("two"), "vmlinuz"), os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	if _, err := control.Publish(t.Context(), "two"); err == nil || !strings.Contains(err.Error(), "open for writing") {
		t.Errorf("of an open file: %v", err)
	}
	if now, err := control.Status(t.Context()); err != nil || len(now.Systems) != 2 {
		t.Errorf("status %+v, %v", now, err)
	}
	if _, err := (Control{Dir: t.TempDir()}).Status(t.Context()); err != ErrNotRunning { //nolint:errorlint // it is that very value
		t.Errorf("of a site that nobody serves: %v", err)
	}
}

// Where QEMU is not installed, systems that need it are left out, and no others.
func TestWithoutQEMU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	c := newClocked(t)
	c.discSystem()
	if cat := c.load(); len(cat.Systems) != 1 || cat.Systems[0].Name != "one" {
		t.Errorf("published are %+v", cat.Systems)
	}
	if state, why := c.state("disc"); state != status.LeftOut || !strings.Contains(why, qemuruntime.Name) {
		t.Errorf("the disc is %s, %s", state, why)
	}
	if state, why := c.state(qemuruntime.Name); state != status.LeftOut || !strings.Contains(why, "apt-get install") {
		t.Errorf("QEMU is %s, %s", state, why)
	}
}

// What runs on nodes of another architecture than this machine's can't be had from it; of what guests they run, that says nothing.
func TestQEMUForOtherNodes(t *testing.T) {
	installQEMU(t)
	c := newClocked(t)
	folder := c.discSystem()
	must(t, os.WriteFile(filepath.Join(folder, site.SystemFile), []byte("dispname: disc\nmethod: qemu\narch: arm64\nargs: -cdrom disc.iso\n"), 0o644))
	if cat := c.load(); len(cat.Systems) != 1 || cat.Systems[0].Name != "one" || len(cat.Runtimes) > 0 {
		t.Errorf("published are %+v", cat)
	}
	if state, why := c.state("disc"); state != status.LeftOut || !strings.Contains(why, "a seeder's machine of their own architecture, which is arm64") {
		t.Errorf("the disc is %s, %s", state, why)
	}
}

// What can't be stored for a reason that its folder is not to blame for is tried again, said once, and costs nobody else.
func TestImportIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	c.release('a')
	writeSystem(t, c.site.Dir, "two", 'b')
	s := load(t, c.site)
	kernel := filepath.Join(c.site.Dir, site.SystemsDir, "two", "vmlinuz")
	c.consider(s)
	body, err := os.ReadFile(kernel)
	must(t, err)
	must(t, os.Remove(kernel)) // between check and import
	if cat := c.settle(); len(cat.Systems) != 1 {
		t.Errorf("published are %+v", cat.Systems)
	}
	if state, why := c.state("two"); state != status.LeftOut || !strings.Contains(why, "two") {
		t.Errorf("it is %s, %s", state, why)
	}
	must(t, os.WriteFile(kernel, body, 0o644))
	c.time = c.time.Add(retryAfter)
	c.retry()
	if cat := c.settle(); len(cat.Systems) != 2 {
		t.Errorf("then published are %+v", cat.Systems)
	}
}

// A version that came to nothing leaves the disk at the next tick.
func TestUnseededVersionsLeaveTheDisk(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	c.release('a')
	writeSystem(t, c.site.Dir, "two", 'b')
	v, err := c.store.Import(t.Context(), load(t, c.site).Systems[1], nil)
	must(t, err)
	leftover := filepath.Join(c.site.Dir, site.StateDir, "tmp-half")
	must(t, os.MkdirAll(leftover, 0o755))
	c.pass(retireCheck)
	for _, path := range []string{v.Dir, leftover} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

// What has just been stored, and is not listed yet, is no leftover.
func TestStoredIsKeptUntilListed(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	c.release('a')
	writeSystem(t, c.site.Dir, "two", 'b')
	c.reload()
	c.next(t.Context())
	o := <-c.done
	c.pass(retireCheck)
	c.finish(o)
	cat := c.settle()
	if len(cat.Systems) != 2 {
		state, why := c.state("two")
		t.Errorf("two is %s: %s", state, why)
	}
	for _, sys := range cat.Systems {
		if !c.offered(sys) {
			t.Errorf("%s is not offered", sys.Name)
		}
	}
}

package daemon

import (
	"archive/tar"
	"bytes"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/counter"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/origin"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
	"github.com/boottorrent/boottorrent/seeder/tracker"
	"github.com/boottorrent/boottorrent/seeder/watch"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// clocked is a follower whose clock, and its tracker's, is the test's. It does what it is told to, and nothing by itself.
type clocked struct {
	*follower
	t    *testing.T
	site *site.Site
	time time.Time
}

func newClocked(t *testing.T) *clocked {
	s := newSite(t)
	c := &clocked{t: t, site: s, time: time.Unix(1_800_000_000, 0)}
	now := func() time.Time { return c.time }
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(filepath.Join(s.Dir, site.StateDir), log)
	must(t, err)
	t.Cleanup(func() { st.Close() })
	engine, err := swarm.New(swarm.Config{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	must(t, err)
	t.Cleanup(func() { engine.Close() })
	watcher, err := watch.New(s.Dir, time.Nanosecond, log)
	must(t, err)
	c.follower = &follower{
		dir: s.Dir, watcher: watcher, fetch: newFetcher(s.Dir, st.Link, origin.New(nil), 0, log), retryAfter: retryAfter, take: func(*site.Site) {}, done: make(chan outcome, 1),
		publisher: &publisher{
			log: log, store: st, engine: engine, tracker: tracker.New(tracker.Config{Now: now}), web: web.New(web.Config{}),
			now: now, counter: counter.Open(filepath.Join(s.Dir, site.StateDir), log, now), next: next.Open(filepath.Join(s.Dir, site.StateDir), log, now), listings: newListings(log, now), files: newMachineFiles(filepath.Join(s.Dir, site.StateDir), log), seeding: map[catalog.InfoHash]*version{},
		},
	}
	return c
}

// release publishes the site with a system "one" made of that byte, and returns its entry in the catalog.
func (c *clocked) release(fill byte) catalog.System {
	c.t.Helper()
	writeSystem(c.t, c.site.Dir, "one", fill)
	return c.load().Systems[0]
}

// announce is what a node sends that lacks so many bytes.
func (c *clocked) announce(h catalog.InfoHash, left, event string) {
	q := url.Values{
		"info_hash": {string(h[:])}, "peer_id": {"-BN0100-abcdefghijkl"}, "port": {"6881"}, "left": {left}, "event": {event},
	}
	w := httptest.NewRecorder()
	c.tracker.Announce().ServeHTTP(w, httptest.NewRequest("GET", catalog.PathAnnounce+"?"+q.Encode(), nil))
}

// pass lets time pass and then drops what is idle.
func (c *clocked) pass(d time.Duration) {
	c.t.Helper()
	c.time = c.time.Add(d)
	c.dropIdle()
}

// offered reports whether a version can be had: from the seed, by HTTP, and whether it is on the disk. All must agree.
func (c *clocked) offered(s catalog.System) bool {
	c.t.Helper()
	_, seeded := c.engine.Stats(s.InfoHash)
	served := true
	for _, path := range []string{catalog.TorrentPath(s.InfoHash), s.FilePath("vmlinuz")} {
		w := httptest.NewRecorder()
		c.web.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		served = served && w.Code == 200
	}
	_, err := os.Stat(filepath.Join(c.site.Dir, site.StateDir, s.InfoHash.String()))
	if stored := err == nil; seeded != served || served != stored {
		c.t.Fatalf("seeded %v, served %v, stored %v", seeded, served, stored)
	}
	return seeded
}

// An old version is kept for ten minutes for those who have read the old catalog, and longer while a node that lacks
// some of it announces itself; one minute after the last did, it is dropped everywhere.
func TestOldVersionIsDroppedWhenIdle(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	old := c.release('a')
	c.pass(time.Hour) // of no importance for what the catalog names
	current := c.release('b')
	if old.InfoHash == current.InfoHash {
		t.Fatal("a new version with the old infohash")
	}
	for _, step := range []struct {
		after       time.Duration
		left, event string // an announce at this moment; none if left is empty
		want        bool
	}{
		{9*time.Minute + 55*time.Second, "1000", "started", true},
		{10 * time.Second, "", "", true}, // old enough, but busy
		{10 * time.Second, "0", "completed", true},
		{40 * time.Second, "0", "", true},  // idle for less than a minute
		{20 * time.Second, "0", "", false}, // who has all doesn't need it
		{time.Second, "1000", "", false},   // too late
	} {
		if step.left != "" {
			c.time = c.time.Add(step.after)
			c.announce(old.InfoHash, step.left, step.event)
			step.after = 0
		}
		c.pass(step.after)
		if got := c.offered(old); got != step.want {
			t.Errorf("%s after the change the old version is offered: %v, want %v", c.time.Sub(time.Unix(1_800_003_600, 0)), got, step.want)
		}
		if !c.offered(current) {
			t.Error("the current version was dropped")
		}
	}
}

// A version that comes back before it is dropped is current again.
func TestVersionComesBack(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	first := c.release('a')
	second := c.release('b')
	c.pass(5 * time.Minute)
	if again := c.release('a'); again.InfoHash != first.InfoHash {
		t.Fatal("the same files have another infohash")
	}
	c.pass(6 * time.Minute)
	if !c.offered(first) || !c.offered(second) {
		t.Error("dropped too early")
	}
	c.pass(5 * time.Minute)
	if !c.offered(first) || c.offered(second) {
		t.Errorf("the version that came back is offered: %v; the other: %v", c.offered(first), c.offered(second))
	}
}

// installQEMU makes a program that passes for QEMU and is packed in no time, with a BIOS, and returns the latter's file. It is
// echo: asked with -L help where its firmware is, it answers -L and help, which are folders here as good as any.
func installQEMU(t *testing.T) (bios string) {
	t.Helper()
	program, err := os.ReadFile(need.Command(t, "echo", "coreutils"))
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "qemu-system-x86_64"), program, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "qemu-system-aarch64"), program, 0o755))
	bios = filepath.Join(dir, "help", "bios-256k.bin")
	must(t, os.Mkdir(filepath.Dir(bios), 0o755))
	must(t, os.WriteFile(bios, []byte("bios"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "help", qemuruntime.ARM64Firmware), []byte("firmware"), 0o644))
	t.Setenv("PATH", dir)
	t.Chdir(dir)
	return bios
}

// load publishes the site as it is in its folder, once everything in it is stored.
func (c *clocked) load() *catalog.Catalog {
	c.t.Helper()
	c.reload()
	return c.settle()
}

// settle stores what there is to store, and publishes it.
func (c *clocked) settle() *catalog.Catalog {
	c.t.Helper()
	for c.next(c.t.Context()); c.running != nil; c.next(c.t.Context()) {
		c.finish(<-c.done)
	}
	must(c.t, c.follower.release())
	return c.published
}

// state is what became of a system, and its problems.
func (c *clocked) state(name string) (status.State, string) {
	c.t.Helper()
	for _, s := range c.status().Systems {
		if s.Name == name {
			return s.State, strings.Join(s.Problems, "\n")
		}
	}
	return "", ""
}

// discSystem writes a system for QEMU and returns its folder.
func (c *clocked) discSystem() string {
	c.t.Helper()
	folder := filepath.Join(c.site.Dir, site.SystemsDir, "disc")
	must(c.t, os.MkdirAll(folder, 0o755))
	must(c.t, os.WriteFile(filepath.Join(folder, "disc.iso"), []byte("disc"), 0o644))
	must(c.t, os.WriteFile(filepath.Join(folder, site.SystemFile), []byte("dispname: disc\nmethod: qemu\nargs: -cdrom disc.iso\n"), 0o644))
	return folder
}

// A site with a system for QEMU has the runtime in its catalog, seeded and served like a system; another has none.
func TestRuntime(t *testing.T) {
	installQEMU(t)
	c := newClocked(t)
	cat := c.load()
	if len(cat.Runtimes) > 0 {
		t.Errorf("a site without need has %+v", cat.Runtimes)
	}
	folder := c.discSystem()
	cat = c.load()
	if len(cat.Runtimes) != 1 || cat.Runtimes[0].Name != qemuruntime.Name || cat.Runtimes[0].Unpacked < cat.Runtimes[0].Size {
		t.Fatalf("runtimes %+v", cat.Runtimes)
	}
	first := cat.Runtimes[0].System
	for _, path := range []string{catalog.TorrentPath(first.InfoHash), first.FilePath(qemuruntime.Archive)} {
		w := httptest.NewRecorder()
		if c.web.ServeHTTP(w, httptest.NewRequest("GET", path, nil)); w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("GET %s: %d, %d bytes", path, w.Code, w.Body.Len())
		}
	}
	if !c.seeded(first) {
		t.Error("the runtime is not seeded")
	}
	must(t, os.RemoveAll(folder))
	cat = c.load()
	if len(cat.Runtimes) > 0 {
		t.Errorf("the runtime stays in the catalog: %+v", cat.Runtimes)
	}
	c.passRetirement()
	if c.seeded(first) {
		t.Error("a runtime that nobody needs is seeded for ever")
	}
}

// Guests of two architectures need two runtimes, and keep theirs when the other goes.
func TestRuntimesOfTwoGuests(t *testing.T) {
	installQEMU(t)
	c := newClocked(t)
	folder := c.discSystem()
	arm := filepath.Join(c.site.Dir, site.SystemsDir, "arm")
	must(t, os.MkdirAll(arm, 0o755))
	must(t, os.WriteFile(filepath.Join(arm, "disc.iso"), []byte("disc for arm64"), 0o644))
	must(t, os.WriteFile(filepath.Join(arm, site.SystemFile), []byte("dispname: arm\nmethod: qemu\nguest: arm64\nargs: -cdrom disc.iso\n"), 0o644))
	cat := c.load()
	if len(cat.Runtimes) != 2 || cat.Runtimes[0].Name != ".qemu" || cat.Runtimes[1].Name != ".qemu-arm64" || cat.Runtimes[1].Arch != runtime.GOARCH {
		t.Fatalf("runtimes %+v", cat.Runtimes)
	}
	second := cat.Runtimes[1]
	for _, s := range cat.Systems {
		if q := s.Launch.QEMU; q != nil && q.Runtime != map[string]string{"arm": ".qemu-arm64", "disc": ".qemu"}[s.Name] {
			t.Errorf("%s needs %s", s.Name, q.Runtime)
		}
	}
	must(t, os.RemoveAll(folder))
	if cat := c.load(); len(cat.Runtimes) != 1 || cat.Runtimes[0].InfoHash != second.InfoHash {
		t.Errorf("without the PC: runtimes %+v", cat.Runtimes)
	}
}

// Another QEMU, and other kernel modules by mkimage, make another runtime; the one before goes when nobody loads it. Where there is
// no QEMU any more, all stays as it was.
func TestRuntimeChanges(t *testing.T) {
	bios := installQEMU(t)
	c := newClocked(t)
	c.discSystem()
	load := func() catalog.System {
		t.Helper()
		return c.load().Runtimes[0].System
	}
	first := load()
	if again := load(); again.InfoHash != first.InfoHash {
		t.Error("nothing has changed but the runtime")
	}
	must(t, os.WriteFile(bios, []byte("another"), 0o644))
	upgraded := load()
	modules := filepath.Join(c.site.Dir, site.ImageDir, qemuruntime.ImageModules)
	must(t, os.MkdirAll(filepath.Dir(modules), 0o755))
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	must(t, w.WriteHeader(&tar.Header{Name: "6.1.0/" + qemuruntime.Order, Mode: 0o644}))
	must(t, w.Close())
	must(t, os.WriteFile(modules, archive.Bytes(), 0o644))
	last := load()
	if upgraded.InfoHash == first.InfoHash || last.InfoHash == upgraded.InfoHash {
		t.Errorf("runtimes %s, %s, %s", first.InfoHash, upgraded.InfoHash, last.InfoHash)
	}
	if !c.seeded(first) || !c.seeded(upgraded) {
		t.Error("nodes that are downloading a version before can't finish it")
	}
	c.passRetirement()
	if c.seeded(first) || c.seeded(upgraded) || !c.seeded(last) {
		t.Errorf("seeded after an hour: %v, %v, %v", c.seeded(first), c.seeded(upgraded), c.seeded(last))
	}
	t.Setenv("PATH", t.TempDir())
	c.load()
	if state, why := c.state(qemuruntime.Name); state != status.Kept || !strings.Contains(why, "apt-get install qemu-system-x86") {
		t.Errorf("without QEMU: %s, %s", state, why)
	}
	c.passRetirement()
	if !c.seeded(last) {
		t.Error("a failed reload took the runtime away")
	}
}

func (c *clocked) seeded(s catalog.System) bool {
	_, seeded := c.engine.Stats(s.InfoHash)
	return seeded
}

// passRetirement lets so much time pass that old versions go.
func (c *clocked) passRetirement() {
	c.t.Helper()
	c.pass(time.Hour)
	c.pass(time.Hour)
}

// When the seeder's address changes, the torrents of all versions name the tracker's new one, also of a version that is kept because its
// folder is broken, and of the runtime.
func TestTrackersOfToday(t *testing.T) {
	installQEMU(t)
	c := newClocked(t)
	move := func(addr string) *catalog.Catalog {
		t.Helper()
		c.moveTo(move{base: []string{"http://" + addr}, announce: []string{"http://" + addr + catalog.PathAnnounce}})
		return c.settle()
	}
	c.discSystem()
	move("10.0.0.1")
	must(t, os.Remove(filepath.Join(c.site.Dir, site.SystemsDir, "one", "vmlinuz")))
	t.Setenv("PATH", t.TempDir()) // the runtime is kept, too
	cat := move("10.0.0.2")
	if state, _ := c.state("one"); state != status.Kept || len(cat.Systems) != 2 || len(cat.Runtimes) != 1 {
		t.Fatalf("one is %s, and published are %+v", state, cat)
	}
	for _, sys := range append(cat.Systems, cat.Runtimes[0].System) {
		w := httptest.NewRecorder()
		c.web.ServeHTTP(w, httptest.NewRequest("GET", catalog.TorrentPath(sys.InfoHash), nil))
		if !strings.Contains(w.Body.String(), "http://10.0.0.2/") || strings.Contains(w.Body.String(), "10.0.0.1") {
			t.Errorf("the torrent of %s is %q", sys.Name, w.Body)
		}
	}
}

// The counter grows with each catalog that says something else, and is on the disk before that is served; the same content again has no
// other. A seeder that begins anew goes on above it, whatever became of its clock or its state.
func TestCounter(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	state := filepath.Join(c.site.Dir, site.StateDir)
	publish := func(fill byte) uint64 {
		t.Helper()
		c.release(fill)
		saved, err := counter.Read(state)
		if n := c.published.Counter; err != nil || saved < n || c.status().Counter != n {
			t.Errorf("the counter %d is served, %d is on the disk (%v), the status says %d", n, saved, err, c.status().Counter)
		}
		return c.published.Counter
	}
	first := publish('a')
	if first != 1_800_000_000 {
		t.Errorf("the first counter is %d, want the time of day", first)
	}
	c.time = c.time.Add(time.Minute)
	if again := publish('a'); again != first {
		t.Errorf("the same content has the counter %d after %d", again, first)
	}
	c.time = c.time.Add(-time.Hour)
	second := publish('b')
	if second != first+1 {
		t.Errorf("with a clock that was set back, %d follows %d", second, first)
	}
	c.published, c.counter = nil, counter.Open(state, c.log, c.now) // a restart
	if third := publish('b'); third != second+1 {
		t.Errorf("after a restart %d follows %d", third, second)
	}
	c.time = c.time.Add(2 * time.Hour)
	must(t, os.Remove(filepath.Join(state, "counter")))
	c.published, c.counter = nil, counter.Open(state, c.log, c.now)
	if n := publish('b'); n != uint64(c.time.Unix()) {
		t.Errorf("with a lost state %d follows, want the time of day", n)
	}
}

// A disk that can't be written stops no room: catalogs go on with growing counters, and the status says what is wrong.
func TestCounterCannotBeWritten(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	c.release('a')
	before := c.published.Counter
	gone := filepath.Join(t.TempDir(), "gone")
	c.counter = counter.Open(gone, c.log, c.now)
	must(t, c.counter.Keep(0))
	c.time = c.time.Add(time.Second)
	c.release('b')
	if n := c.published.Counter; n <= before {
		t.Errorf("%d follows %d", n, before)
	}
	if problems := strings.Join(c.status().Problems, "\n"); !strings.Contains(problems, "the catalog's counter can't be written down") {
		t.Errorf("the status says %q", problems)
	}
	must(t, os.Mkdir(gone, 0o755))
	c.counter.Retry()
	if n, err := counter.Read(gone); n != c.published.Counter || err != nil || len(c.status().Problems) > 0 {
		t.Errorf("when it can be written again there is %d, %v, %v", n, err, c.status().Problems)
	}
}

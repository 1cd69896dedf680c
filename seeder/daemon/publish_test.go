package daemon

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/store"
	"github.com/boottorrent/boottorrent/seeder/tracker"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// clocked is a publisher whose clock, and its tracker's, is the test's.
type clocked struct {
	*publisher
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
	c.publisher = &publisher{
		log: log, store: st, engine: engine, tracker: tracker.New(tracker.Config{Now: now}), web: web.New(web.Config{}),
		now: now, seeding: map[catalog.InfoHash]*version{},
	}
	return c
}

// release publishes the site with a system "one" made of that byte, and returns its entry in the catalog.
func (c *clocked) release(fill byte) catalog.System {
	c.t.Helper()
	writeSystem(c.t, c.site.Dir, "one", fill)
	cat, err := c.publish(c.t.Context(), c.site)
	must(c.t, err)
	return cat.Systems[0]
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
	must(c.t, c.dropIdle())
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

// Where publishing fails, nothing new is given away and the old catalog stays.
func TestFailedPublishChangesNothing(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	old := c.release('a')
	writeSystem(t, c.site.Dir, "one", 'b')
	writeSystem(t, c.site.Dir, "two", 'c')
	s, problems := site.Load(c.site.Dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	must(t, os.Remove(filepath.Join(s.Dir, site.SystemsDir, "two", "vmlinuz")))
	if _, err := c.publish(t.Context(), s); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a system without its file: %v", err)
	}
	c.pass(time.Hour)
	if !c.offered(old) || len(c.seeding) != 1 {
		t.Errorf("offered %v, and %d versions are seeded", c.offered(old), len(c.seeding))
	}
}

// A site with a system for QEMU has the runtime in its catalog, seeded and served like a system; another has none.
func TestRuntime(t *testing.T) {
	need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	c := newClocked(t)
	publish := func() *catalog.Catalog {
		s, problems := site.Load(c.site.Dir)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		cat, err := c.publish(t.Context(), s)
		must(t, err)
		return cat
	}
	if cat := publish(); len(cat.Runtimes) > 0 {
		t.Errorf("a site without need has %+v", cat.Runtimes)
	}
	folder := filepath.Join(c.site.Dir, site.SystemsDir, "disc")
	must(t, os.MkdirAll(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "disc.iso"), []byte("disc"), 0o644))
	must(t, os.WriteFile(filepath.Join(folder, site.SystemFile), []byte("dispname: disc\nmethod: qemu\nargs: -cdrom disc.iso\n"), 0o644))
	cat := publish()
	if len(cat.Runtimes) != 1 || cat.Runtimes[0].Name != qemuruntime.Name || cat.Runtimes[0].Unpacked < cat.Runtimes[0].Size {
		t.Fatalf("runtimes %+v", cat.Runtimes)
	}
	first := cat.Runtimes[0].System
	w := httptest.NewRecorder()
	c.web.ServeHTTP(w, httptest.NewRequest("GET", catalog.TorrentPath(first.InfoHash), nil))
	if _, seeded := c.engine.Stats(first.InfoHash); !seeded || w.Code != 200 {
		t.Errorf("the runtime is seeded: %v, its torrent: %d", seeded, w.Code)
	}
	must(t, os.RemoveAll(folder))
	if cat := publish(); len(cat.Runtimes) > 0 {
		t.Errorf("the runtime stays in the catalog: %+v", cat.Runtimes)
	}
	c.pass(time.Hour)
	c.pass(time.Hour)
	if _, seeded := c.engine.Stats(first.InfoHash); seeded {
		t.Error("a runtime that nobody needs is seeded for ever")
	}
}

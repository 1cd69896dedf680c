package swarm

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func TestMeter(t *testing.T) {
	var m meter
	if down, up := m.rates(); down != 0 || up != 0 {
		t.Errorf("without samples %d, %d", down, up)
	}
	for i := range int64(20) {
		// 1000 bytes/s down for 10 ticks, then 3000; 500 bytes/s up.
		down := i * 500
		if i > 10 {
			down += (i - 10) * 1000
		}
		m.add(sample{time.Unix(0, i*int64(defaultTick)), down, i * 250})
	}
	if down, up := m.rates(); down != 3000 || up != 500 {
		t.Errorf("rates %d, %d, want 3000, 500", down, up)
	}
}

func TestParseResponse(t *testing.T) {
	for _, c := range []struct {
		body     string
		interval time.Duration
		peers    string
		err      string
	}{
		{"d8:intervali5e5:peers12:\x7f\x00\x00\x01\x1a\xe1\x0a\x00\x00\x02\x00\x50e", 5 * time.Second, "127.0.0.1:6881 10.0.0.2:80", ""},
		{"d8:intervali0e5:peers0:e", minInterval, "", ""},
		{"d8:intervali999999e5:peers0:e", maxInterval, "", ""},
		{"d8:intervali5e5:peersld2:ip9:127.0.0.14:porti6881eeee", 5 * time.Second, "127.0.0.1:6881", ""},
		{"d14:failure reason12:not my housee", 0, "", `it answered "not my house"`},
		{"<html>", 0, "", "did not answer like a tracker"},
		{"d8:intervali5e5:peers5:abcdee", 0, "", "did not answer like a tracker"},
	} {
		a, err := parseResponse([]byte(c.body))
		var got []string
		for _, p := range a.peers {
			got = append(got, p.String())
		}
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: got %v, want %q", c.body, err, c.err)
			}
		} else if err != nil || a.interval != c.interval || strings.Join(got, " ") != c.peers {
			t.Errorf("%q: got %s, %v, %v; want %s, %s", c.body, a.interval, got, err, c.interval, c.peers)
		}
	}
}

func TestFileURL(t *testing.T) {
	want := "http://192.0.2.1/systems/x/a%20b/live/gr%C3%B6%C3%9Fe%231%3F"
	for _, base := range []string{"http://192.0.2.1/systems/x", "http://192.0.2.1/systems/x/"} {
		if got := fileURL(base, "a b", "live/größe#1?"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	// As the catalog has it, so that the seeder's server need know only one form.
	sys := catalog.System{Name: "a b"}
	if got, want := fileURL("http://h"+catalog.WebSeedPath(sys.InfoHash), sys.Name, "c d"), "http://h"+sys.FilePath("c d"); got != want {
		t.Errorf("got %s, catalog says %s", got, want)
	}
}

func TestStoreReadsAndWritesAcrossFiles(t *testing.T) {
	s := newSample(t, 16<<10, 10_000, 20_000, 1, 0, 30_000)
	l, err := parseMetainfo(s.torrent)
	if err != nil {
		t.Fatal(err)
	}
	from, err := openSeed(l, s.dir, newFileCache(2))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	dir := t.TempDir()
	to, err := openFetch(l, dir, newFileCache(2))
	if err != nil {
		t.Fatal(err)
	}
	for i := range from.pieces {
		if !to.missing(i) {
			t.Fatalf("piece %d of fresh files is not missing", i)
		}
		b := make([]byte, from.pieces[i].size)
		if _, err := from.pieces[i].ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		if !to.verifies(i, b) || to.verifies(i, b[1:]) {
			t.Errorf("piece %d: verification is wrong", i)
		}
		if err := to.put(i, b); err != nil {
			t.Fatal(err)
		}
		if _, err := to.pieces[i].WriteAt([]byte("late and wrong"), 0); err != nil {
			t.Error(err)
		}
	}
	if err := to.verify(t.Context(), s.files); err != nil {
		t.Error(err)
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
	s.checkFiles(t, dir)
	if err := Discard(dir, s.system.Name, s.files); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("Discard left %v", left)
	}
	if err := Discard(dir, s.system.Name, s.files); err != nil {
		t.Errorf("Discard of nothing: %v", err)
	}
}

// TestStoreKnowsHoles opens files of which only the second piece was ever written.
func TestStoreKnowsHoles(t *testing.T) {
	const piece = 256 << 10
	s := newSample(t, piece, 4*piece)
	l, err := parseMetainfo(s.torrent)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	st, err := openFetch(l, dir, newFileCache(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.pieces[1].WriteAt(bytes.Repeat([]byte("x"), piece), 0); err != nil {
		t.Fatal(err)
	}
	_ = st.Close()
	if st, err = openFetch(l, dir, newFileCache(2)); err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for i, want := range []uint32{missing, unknown, missing, missing} {
		if got := st.pieces[i].state.Load(); got != want {
			t.Errorf("piece %d: state %d, want %d", i, got, want)
		}
	}
}

func TestSeedRefusesChangedFiles(t *testing.T) {
	s := newSample(t, 256<<10, 1000, 2000)
	e := newEngine(t, "127.0.0.81", Config{})
	path := filepath.Join(s.dir, "demo", "vmlinuz")
	if err := os.Truncate(path, 999); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Seed(s.torrent, s.dir); err == nil || !strings.Contains(err.Error(), "has changed since it was hashed: it has 999 bytes") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Seed(s.torrent, s.dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if _, err := e.Seed([]byte("x"), s.dir); err == nil || !strings.Contains(err.Error(), "is not a torrent file") {
		t.Errorf("got %v", err)
	}
	if _, ok := e.Stats(s.system.InfoHash); ok {
		t.Error("what could not be seeded is in the engine")
	}
}

// TestSeedIsReadOnly seeds read-only files in a read-only folder, twice, and finds nothing new in it.
func TestSeedIsReadOnly(t *testing.T) {
	s := newSample(t, 256<<10, 1<<20)
	e := newEngine(t, "127.0.0.82", Config{})
	for range 2 {
		if h, err := e.Seed(s.torrent, s.dir); err != nil || h != s.system.InfoHash {
			t.Fatalf("%s, %v", h, err)
		}
	}
	if st, ok := e.Stats(s.system.InfoHash); !ok || st.Done != st.Size || st.Size != s.system.Size {
		t.Errorf("%+v, %v: want it complete at once", st, ok)
	}
	s.checkFiles(t, s.dir)
	if entries, _ := os.ReadDir(filepath.Join(s.dir, "demo")); len(entries) != 1 {
		t.Errorf("the folder has %v", entries)
	}
	e.Remove(s.system.InfoHash)
	e.Remove(s.system.InfoHash)
	if _, ok := e.Stats(s.system.InfoHash); ok {
		t.Error("it is still there after Remove")
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{Listen: netip.MustParseAddrPort("[::1]:0")}); err == nil || !strings.Contains(err.Error(), "only IPv4") {
		t.Errorf("got %v", err)
	}
	e := newEngine(t, "127.0.0.83", Config{})
	if _, err := New(Config{Listen: e.addrPort()}); err == nil || !strings.Contains(err.Error(), e.addrPort().String()) {
		t.Errorf("a port that is taken: got %v", err)
	}
}

func TestLibraryLogsQuieter(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(libraryHandler{slog.NewTextHandler(&b, nil)}).With("k", 1).WithGroup("g")
	log.Warn("a")
	log.Error("b")
	if got := b.String(); !strings.Contains(got, "level=WARN msg=b k=1") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
}

package swarm

import (
	"errors"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// TestFallback has no peer at all: all comes by HTTP, and another node gets it by BitTorrent meanwhile or afterwards.
func TestFallback(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 300_000, 4<<20, 77)
	web := newWebServer(t, s)
	node, dir := newNode(t, "127.0.0.61"), t.TempDir()
	src := s.source(dir, netip.MustParseAddrPort("127.0.0.9:1"))
	src.StallAfter = 300 * time.Millisecond
	src.WebSeeds = []string{"http://127.0.0.1:1/gone/", web.base(s)}
	fallback := false
	var last Stats
	if err := node.Fetch(t.Context(), src, func(st Stats) { last, fallback = st, fallback || st.Fallback }); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
	if last.FromHTTP < s.system.Size || last.FromSeeder+last.FromNodes != 0 || last.Fallback {
		t.Errorf("final stats %+v", last)
	}
	other := newNode(t, "127.0.0.62")
	if err := other.Fetch(t.Context(), s.source(t.TempDir(), node.addrPort()), nil); err != nil {
		t.Fatalf("the node does not upload what came by HTTP: %v", err)
	}
}

// TestFallbackToSpoiledFile has a server whose file has changed since it was hashed: what is right of it is fetched, and
// then the download ends in words.
func TestFallbackToSpoiledFile(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 1000, 2<<20)
	web := newWebServer(t, s)
	spoiled := s.files[1].Path
	b := append([]byte(nil), s.data[spoiled]...)
	b[300<<10] ^= 1
	writeFile(t, filepath.Join(s.dir, "demo", spoiled), b)
	src := s.source(t.TempDir(), netip.MustParseAddrPort("127.0.0.9:1"))
	src.StallAfter, src.WebSeeds = 300*time.Millisecond, []string{web.base(s)}
	var last Stats
	err := newNode(t, "127.0.0.65").Fetch(t.Context(), src, func(st Stats) { last = st })
	var damage *SpoiledError
	if !errors.As(err, &damage) || damage.File != spoiled || damage.Piece != 1 {
		t.Fatalf("got %v", err)
	}
	if missing := last.Size - last.Done; missing > 256<<10 {
		t.Errorf("%d bytes are missing beside the spoiled piece", missing)
	}
}

// TestFallbackIsShared has two nodes which reach each other and HTTP, but no seed: they divide the pieces. The server's
// link is the bottleneck, as in a room.
func TestFallbackIsShared(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 8<<20)
	web := newWebServer(t, s)
	web.link = rate.NewLimiter(4<<20, 64<<10)
	tracker := newTracker(t)
	var room sync.WaitGroup
	for _, addr := range []string{"127.0.0.63", "127.0.0.64"} {
		node, dir := newNode(t, addr), t.TempDir()
		room.Go(func() {
			src := s.source(dir)
			src.Trackers, src.WebSeeds, src.StallAfter = []string{tracker.url()}, []string{web.base(s)}, time.Second
			if err := node.Fetch(t.Context(), src, nil); err != nil {
				t.Errorf("node %s: %v", addr, err)
				return
			}
			s.checkFiles(t, dir)
			st, _ := node.Stats(s.system.InfoHash)
			t.Logf("node %s: %d by HTTP, %d from the other", addr, st.FromHTTP, st.FromNodes)
		})
	}
	room.Wait()
	if copies := float64(web.sent) / float64(s.system.Size); copies > 1.5 {
		t.Errorf("the server sent %.2f copies to two nodes, want at most 1.5", copies)
	}
}

// TestFallbackEndsWhenPeersReturn has the tracker name the seeder only when a node has turned to HTTP (in vain).
func TestFallbackEndsWhenPeersReturn(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 5<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 4 << 20})
	tracker := newTracker(t)
	node, dir := newNode(t, "127.0.0.65"), t.TempDir()
	src := s.source(dir)
	src.Trackers, src.WebSeeds, src.StallAfter = []string{tracker.url()}, []string{"http://127.0.0.1:1/"}, 200*time.Millisecond
	began, ended := false, false
	err := node.Fetch(t.Context(), src, func(st Stats) {
		if st.Fallback && !began {
			began = true
			tracker.mu.Lock()
			tracker.peers = append(tracker.peers, seeder.addrPort())
			tracker.mu.Unlock()
		}
		ended = ended || began && !st.Fallback && st.Done < st.Size
	})
	if err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
	if !began || !ended {
		t.Errorf("fallback began %v, ended before everything was here %v; want both", began, ended)
	}
}

package swarm

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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
	dir := t.TempDir()
	src := s.source(dir, netip.MustParseAddrPort("127.0.0.9:1"))
	src.StallAfter, src.WebSeeds = 300*time.Millisecond, []string{web.base(s)}
	err := newNode(t, "127.0.0.65").Fetch(t.Context(), src, nil)
	var damage *SpoiledError
	if !errors.As(err, &damage) || damage.File != spoiled || damage.Piece != 1 {
		t.Fatalf("got %v", err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "demo", spoiled))
	if err != nil {
		t.Fatal(err)
	}
	// The spoiled piece is the second of all, and the file before has 1000 bytes.
	const from, to = 256<<10 - 1000, 512<<10 - 1000
	if want := s.data[spoiled]; len(got) != len(want) || !bytes.Equal(got[:from], want[:from]) || !bytes.Equal(got[to:], want[to:]) {
		t.Error("something is missing beside the spoiled piece")
	}
}

// patientStall is a StallAfter that no machine is so slow as to reach while peers bring data.
const patientStall = 5 * time.Second

// Nodes which reach each other and HTTP, but no seed, divide the pieces. How evenly is for BenchmarkFallback: it hangs on what
// comes first.
func TestFallbackIsShared(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 8<<20)
	web := newWebServer(t, s)
	web.link = rate.NewLimiter(4<<20, 64<<10)
	shareHTTP(t, s, web, patientStall, "127.0.0.63", "127.0.0.64")
	if sent := web.total(); sent < s.system.Size || sent >= 2*s.system.Size {
		t.Errorf("the server sent %d bytes to two nodes, a copy has %d", sent, s.system.Size)
	}
}

// TestFallbackOfARoom has more nodes than the server serves at a time, and no seed: all finish, and share.
func TestFallbackOfARoom(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 6<<20)
	web := newWebServer(t, s)
	web.link, web.places = rate.NewLimiter(4<<20, 64<<10), make(chan struct{}, 2)
	shareHTTP(t, s, web, patientStall, addresses(191, 5)...)
	if sent := web.total(); sent < s.system.Size || sent >= 5*s.system.Size {
		t.Errorf("the server sent %d bytes to five nodes, a copy has %d", sent, s.system.Size)
	}
	if web.refused.Load() == 0 {
		t.Error("nobody was refused: the server had places for all")
	}
}

func addresses(from, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("127.0.0.%d", from+i))
	}
	return all
}

// shareHTTP has nodes at these addresses fetch from a web server and each other.
func shareHTTP(t testing.TB, s *sampleSystem, web *webServer, stall time.Duration, addrs ...string) {
	t.Helper()
	p := startParty(t, s, newTracker(t), func(src *Source) {
		src.WebSeeds, src.StallAfter = []string{web.base(s)}, stall
	}, addrs...)
	p.room.Wait()
	shared := int64(0)
	for i := range p.nodes {
		shared += p.stats(i).FromNodes
		_ = p.nodes[i].Close()
	}
	if shared == 0 {
		t.Error("the nodes have nothing from each other")
	}
}

// BenchmarkFallback measures how many copies a server with a slow link sends to nodes that share them: to two, and to five of which it
// serves two at a time.
func BenchmarkFallback(b *testing.B) {
	for _, nodes := range []int{2, 5} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			s := newSample(b, 256<<10, 8<<20)
			var sent int64
			for b.Loop() {
				web := newWebServer(b, s)
				web.link, web.places = rate.NewLimiter(4<<20, 64<<10), make(chan struct{}, 2)
				shareHTTP(b, s, web, time.Second, addresses(230, nodes)...)
				sent += web.total()
			}
			b.ReportMetric(float64(sent)/float64(s.system.Size)/float64(b.N), "copies")
		})
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

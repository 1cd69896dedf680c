package swarm

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/need"
)

// party is nodes that fetch a sample at the same time and find each other by a tracker.
type party struct {
	t      testing.TB
	sample *sampleSystem
	nodes  []*Engine
	room   sync.WaitGroup
}

// startParty starts a node at each address. Change sets what else is to be told of a source.
func startParty(t testing.TB, s *sampleSystem, tracker *testTracker, change func(*Source), addrs ...string) *party {
	t.Helper()
	p := &party{t: t, sample: s}
	t.Cleanup(p.room.Wait) // also of a test that has failed; its context ends before
	for _, addr := range addrs {
		node, dir := newNode(t, addr), t.TempDir()
		p.nodes = append(p.nodes, node)
		p.room.Go(func() {
			src := s.source(dir)
			src.Trackers = []string{tracker.url()}
			if change != nil {
				change(&src)
			}
			if err := node.Fetch(t.Context(), src, nil); err != nil {
				t.Errorf("node %s: %v", addr, err)
				return
			}
			s.checkFiles(t, dir)
		})
	}
	return p
}

// await returns when a condition holds for what the nodes have together: the number of pieces that none of them has.
func (p *party) await(what string, holds func(lacking int) bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), need.Patience)
	defer cancel()
	for ; !holds(p.lacking()); sleep(ctx, 20*time.Millisecond) {
		if ctx.Err() != nil {
			p.t.Fatalf("not %s: %d pieces are nowhere", what, p.lacking())
		}
	}
}

func (p *party) lacking() (n int) {
	var stores []*store
	for _, node := range p.nodes {
		if f := node.entry(p.sample.system.InfoHash); f != nil {
			stores = append(stores, f.store)
		}
	}
	for i := range len(p.sample.content(p.t)) / int(p.sample.system.PieceLength) {
		if !slices.ContainsFunc(stores, func(s *store) bool { return s.pieces[i].state.Load() == complete }) {
			n++
		}
	}
	return n
}

func (p *party) stats(i int) Stats {
	s, _ := p.nodes[i].Stats(p.sample.system.InfoHash)
	return s
}

// TestMutePeerIsSnubbed has a peer that claims to have everything, takes requests and never answers.
func TestMutePeerIsSnubbed(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 16<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 4 << 20})
	mute := newOddPeer(t, "127.0.0.140", s, everything, nil)
	mute.answer = mute.never
	tracker := newTracker(t, seeder.addrPort(), mute.addrPort())
	p := startParty(t, s, tracker, nil, "127.0.0.141", "127.0.0.142")
	p.room.Wait()
	for _, node := range p.nodes {
		if !node.snubs.everSnubbed(mute.addrPort().Addr()) {
			t.Errorf("node %s goes on asking it", node.addrPort())
		}
	}
	// On a slow machine it is tried again after it was left alone.
	if n, conns := mute.requests(), mute.connections(); n == 0 || n > 20*conns {
		t.Errorf("%d requests were spent on it, over %d connections", n, conns)
	}
}

// everSnubbed reports whether a peer was ever found to be snubbed.
func (p *snubs) everSnubbed(a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.backoffs[a].length > 0
}

// TestLiarIsBanned has a peer that sends wrong bytes, and names it.
func TestLiarIsBanned(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 8<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 4 << 20})
	liar := newOddPeer(t, "127.0.0.150", s, everything, nil)
	liar.answer = liar.wrong
	tracker := newTracker(t, seeder.addrPort(), liar.addrPort())
	p := startParty(t, s, tracker, nil, "127.0.0.151")
	p.room.Wait()
	p.nodes[0].nameBanned() // what was found out since the last tick
	if got, want := p.stats(0).Banned, []netip.Addr{liar.addrPort().Addr()}; !slices.Equal(got, want) {
		t.Errorf("banned are %v, want %v (it got %d requests)", got, want, liar.requests())
	}
}

// TestOnlyCopyVanishes has the only peer with half of the pieces go away after some of them: HTTP brings just the rest.
func TestOnlyCopyVanishes(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 8<<20)
	web := newWebServer(t, s)
	web.link = rate.NewLimiter(2<<20, 64<<10)
	half := func(first int) func(int) bool { return func(i int) bool { return i%2 == first } }
	stays := newOddPeer(t, "127.0.0.160", s, half(0), nil)
	stays.answer = stays.honest
	goes := newOddPeer(t, "127.0.0.161", s, half(1), nil)
	var blocks atomic.Int32
	goes.answer = func(at, n int) []byte {
		if blocks.Add(1) > 64 { // four pieces of sixteen
			goes.vanish()
			return nil
		}
		return goes.honest(at, n)
	}
	tracker := newTracker(t, stays.addrPort(), goes.addrPort())
	p := startParty(t, s, tracker, func(src *Source) {
		src.WebSeeds, src.StallAfter = []string{web.base(s)}, patientStall
	}, "127.0.0.162", "127.0.0.163")
	p.room.Wait()
	// Lost are 12 of 32 pieces, and a few that were asked for when it went.
	if sent, lost := web.total(), s.system.Size*3/8; sent < lost || sent > s.system.Size {
		t.Errorf("HTTP brought %d bytes to two nodes, which lost %d of %d", sent, lost, s.system.Size)
	}
}

// TestSeederLeaves takes the seeder away, and its tracker, when every piece is at some node.
func TestSeederLeaves(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 12<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 6 << 20})
	tracker := newTracker(t, seeder.addrPort())
	p := startParty(t, s, tracker, nil, "127.0.0.171", "127.0.0.172", "127.0.0.173")
	p.await("all out", func(lacking int) bool { return lacking == 0 })
	tracker.CloseClientConnections()
	tracker.Close()
	_ = seeder.Close()
	p.room.Wait()
}

// TestSeederRestarts takes seeder and tracker away in the middle and starts them again: they know nobody, and the nodes
// announce themselves and go on.
func TestSeederRestarts(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 12<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 4 << 20})
	tracker := newTracker(t, seeder.addrPort())
	p := startParty(t, s, tracker, nil, "127.0.0.181", "127.0.0.182")
	const pieces = 48
	p.await("a third out", func(lacking int) bool { return lacking < pieces*2/3 })
	at, trackerAt := seeder.addrPort(), tracker.Listener.Addr().String()
	tracker.CloseClientConnections()
	tracker.Close()
	_ = seeder.Close()
	if p.lacking() == 0 {
		t.Fatal("the seeder left too late for this test")
	}

	again := seedAt(t, s, at, Config{UploadLimit: 4 << 20})
	restarted := newTrackerAt(t, trackerAt, again.addrPort())
	p.room.Wait()
	restarted.mu.Lock()
	defer restarted.mu.Unlock()
	if len(restarted.peers) != 1+len(p.nodes) {
		t.Errorf("the new tracker knows %v", restarted.peers)
	}
	for i := range p.nodes {
		if st := p.stats(i); st.FromHTTP != 0 {
			t.Errorf("node %d: %+v", i, st)
		}
	}
}

// seedAt is newSeeder on a port that was another's before.
func seedAt(t *testing.T, s *sampleSystem, at netip.AddrPort, cfg Config) *Engine {
	t.Helper()
	cfg.Listen = at
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	if _, err := e.Seed(s.torrent, s.dir); err != nil {
		t.Fatal(err)
	}
	return e
}

// newTrackerAt is newTracker at the address of one that was closed.
func newTrackerAt(t *testing.T, addr string, peers ...netip.AddrPort) *testTracker {
	t.Helper()
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	tr := &testTracker{peers: peers}
	tr.Server = httptest.NewUnstartedServer(http.HandlerFunc(tr.announce))
	_ = tr.Server.Listener.Close()
	tr.Server.Listener = l
	tr.Start()
	t.Cleanup(tr.Close)
	return tr
}

// TestLeechers follows how many others a complete node knows to lack something.
func TestLeechers(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 2<<20)
	seeder := newSeeder(t, s, Config{})
	node := newNode(t, "127.0.0.201")
	h := s.system.InfoHash
	if n := node.Leechers(h); n != 0 {
		t.Errorf("%d leechers of a torrent that isn't here", n)
	}
	tracker := newTracker(t, seeder.addrPort())
	tracker.incomplete = 3
	src := s.source(t.TempDir())
	src.Trackers = []string{tracker.url()}
	if err := node.Fetch(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	if n := node.Leechers(h); n != 3 {
		t.Errorf("%d leechers, the tracker says 3", n)
	}
	if n := node.entry(h).told.incomplete(time.Now().Add(time.Minute)); n != 0 {
		t.Errorf("%d leechers by a tracker that has been silent for a minute", n)
	}
}

// TestLimits has a node take no more than it may, by BitTorrent and by HTTP.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 3<<20)
	web := newWebServer(t, s)
	seeder := newSeeder(t, s, Config{})
	least := time.Duration(float64(s.system.Size-downBurst) / (2 << 20) * float64(time.Second))
	for name, source := range map[string]Source{
		"BitTorrent": s.source(t.TempDir(), seeder.addrPort()),
		"HTTP":       {Torrent: s.torrent, System: s.system, Files: s.files, Dir: t.TempDir(), WebSeeds: []string{web.base(s)}, StallAfter: 200 * time.Millisecond},
	} {
		node := newEngine(t, map[string]string{"BitTorrent": "127.0.0.211", "HTTP": "127.0.0.212"}[name], Config{DownloadLimit: 2 << 20})
		began := time.Now()
		if err := node.Fetch(t.Context(), source, nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if took := time.Since(began); took < least {
			t.Errorf("%s: %d bytes in %s, want %s at least", name, s.system.Size, took, least)
		}
	}
}

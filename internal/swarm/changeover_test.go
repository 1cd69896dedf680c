package swarm

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// twoSeeders is two seeders of one sample, each with its tracker, and nodes that have the first for their own.
type twoSeeders struct {
	t        *testing.T
	sample   *sampleSystem
	engines  [2]*Engine
	trackers [2]*testTracker
	seeders  []Seeder
	nodes    []*Engine
}

// newTwoSeeders starts them; each seeder sends no more than limit bytes per second.
func newTwoSeeders(t *testing.T, s *sampleSystem, limit int64) *twoSeeders {
	x := &twoSeeders{t: t, sample: s}
	for i, addr := range []string{"127.0.0.9", "127.0.0.10"} {
		x.engines[i] = newEngine(t, addr, Config{UploadLimit: limit})
		if _, err := x.engines[i].Seed(s.torrent, s.dir); err != nil {
			t.Fatal(err)
		}
		x.trackers[i] = newTracker(t, x.engines[i].addrPort())
		x.seeders = append(x.seeders, Seeder{HTTP: x.trackers[i].URL, Torrent: x.engines[i].addrPort()})
	}
	return x
}

// sent is what a seeder has given away.
func (x *twoSeeders) sent(i int) int64 { return x.engines[i].Torrents()[0].Uploaded }

// fetch has so many nodes fetch, calls half once half of the sample is with one of them, and returns when all have everything, with
// the longest time for which nothing came to a node.
func (x *twoSeeders) fetch(nodes int, half func()) (gap time.Duration) {
	var once sync.Once
	var group sync.WaitGroup
	gaps := make([]time.Duration, nodes)
	for n := range nodes {
		node := newEngine(x.t, fmt.Sprintf("127.0.1.%d", 1+n), Config{Seeders: x.seeders})
		x.nodes = append(x.nodes, node)
		dir := x.t.TempDir()
		group.Go(func() {
			got, last := int64(0), time.Now()
			err := node.Fetch(x.t.Context(), x.sample.source(dir), func(s Stats) {
				now := time.Now()
				if s.Received() > got {
					gaps[n] = max(gaps[n], now.Sub(last))
					got, last = s.Received(), now
				}
				if s.Done > s.Size/2 {
					once.Do(half)
				}
			})
			if err != nil {
				x.t.Errorf("node %d: %v", n, err)
				return
			}
			x.sample.checkFiles(x.t, dir)
		})
	}
	group.Wait()
	for _, g := range gaps {
		gap = max(gap, g)
	}
	return gap
}

// bySeeder is how much a node got from each of the two seeders.
func (x *twoSeeders) bySeeder(n int) (first, second int64) {
	s, _ := x.nodes[n].Stats(x.sample.system.InfoHash)
	return bytesFrom(s.Seeders, x.seeders[0].addr()), bytesFrom(s.Seeders, x.seeders[1].addr())
}

func bytesFrom(all []report.Source, a netip.Addr) int64 {
	for _, s := range all {
		if s.Addr == a {
			return s.Bytes
		}
	}
	return 0
}

// As long as the own seeder brings something nothing is asked of another.
func TestOtherSeedersRest(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 8<<20)
	x := newTwoSeeders(t, s, 4<<20)
	x.fetch(4, func() {})
	for n, node := range x.nodes {
		first, second := x.bySeeder(n)
		if st, _ := node.Stats(s.system.InfoHash); second != 0 || first != st.FromSeeder {
			t.Errorf("node %d got %d bytes of the own seeder and %d of the other; from seeders %d", n, first, second, st.FromSeeder)
		}
	}
	if sent := x.sent(1); sent != 0 {
		t.Errorf("the other seeder sent %d bytes", sent)
	}
}

// The own seeder goes in the middle of a fetch: its connections are reset, and nobody listens.
func TestSeederDies(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 8<<20)
	x := newTwoSeeders(t, s, 4<<20)
	gap := x.fetch(4, func() {
		_ = x.engines[0].Close()
		x.trackers[0].CloseClientConnections()
		x.trackers[0].Close()
	})
	x.checkChange(gap)
	waitFor(t, "the second tracker hears that all are complete", func() bool { return x.trackers[1].heard("completed") == len(x.nodes) })
	for _, node := range x.nodes {
		_ = node.Close()
	}
	if started, stopped := x.trackers[1].heard("started"), x.trackers[1].heard("stopped"); started != len(x.nodes) || stopped != started {
		t.Errorf("the second tracker heard of %d nodes that began and %d that left", started, stopped)
	}
}

// TestOtherWebSeed has seeders of which HTTP alone can be had: the own one refuses, so the other one's web seed is used.
func TestOtherWebSeed(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 2<<20)
	dead, alive := newWebServer(t, s), newWebServer(t, s)
	dead.Close()
	// The second one's address is not that of the first, by which they are counted.
	seeders := []Seeder{{HTTP: dead.URL}, {HTTP: alive.URL, Torrent: netip.MustParseAddrPort("127.0.0.13:0")}}
	node := newEngine(t, "127.0.1.21", Config{Seeders: seeders})
	src := s.source(t.TempDir())
	src.StallAfter = 100 * time.Millisecond
	if err := node.Fetch(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, src.Dir)
	st, _ := node.Stats(s.system.InfoHash)
	if got := bytesFrom(st.Seeders, seeders[1].addr()); got != st.FromHTTP || got != 2<<20 || alive.total() < got {
		t.Errorf("%d bytes are counted as the second seeder's, which sent %d; by HTTP %d", got, alive.total(), st.FromHTTP)
	}
}

// checkChange checks that the second seeder sent what the first had not, about once, and that this began before HTTP is tried.
func (x *twoSeeders) checkChange(gap time.Duration) {
	size, first, second := int64(0), int64(0), int64(0)
	for n, node := range x.nodes {
		s, ok := node.Stats(x.sample.system.InfoHash)
		if !ok {
			x.t.Fatal("a node has not fetched it")
		}
		size = s.Size
		a, b := x.bySeeder(n)
		first, second = first+a, second+b
	}
	x.t.Logf("nothing came for %s; the first seeder sent %.2f copies, the second %.2f", gap.Round(10*time.Millisecond), float64(first)/float64(size), float64(second)/float64(size))
	if first == 0 || second == 0 || float64(first+second) > 1.3*float64(size) {
		x.t.Errorf("the seeders sent %d and %d bytes for %d", first, second, size)
	}
	if gap > defaultStall {
		x.t.Errorf("nothing came for %s, want %s at most", gap, defaultStall)
	}
}

// valve forwards connections to a server, until it is shut: then nothing passes any more, and nothing is said of that.
type valve struct {
	net.Listener
	to   string
	mu   sync.Mutex
	shut bool
	open []net.Conn
}

func newValve(t *testing.T, addr, to string) *valve {
	l, err := net.Listen("tcp4", addr+":0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{Listener: l, to: to}
	go v.serve()
	t.Cleanup(func() {
		v.Listener.Close()
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, c := range v.open {
			c.Close()
		}
	})
	return v
}

func (v *valve) addrPort() netip.AddrPort { return netip.MustParseAddrPort(v.Addr().String()) }

func (v *valve) serve() {
	for {
		c, err := v.Accept()
		if err != nil {
			return
		}
		v.mu.Lock()
		v.open = append(v.open, c)
		shut := v.shut
		v.mu.Unlock()
		if shut {
			continue // it is connected, and hears nothing
		}
		from := c.RemoteAddr().(*net.TCPAddr).IP // by which the server knows the client
		there, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).Dial("tcp4", v.to)
		if err != nil {
			c.Close()
			continue
		}
		go v.pass(c, there)
		go v.pass(there, c)
	}
}

func (v *valve) pass(from, to net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if v.isShut() {
			_, _ = io.Copy(io.Discard, from)
			to.Close()
			return
		}
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			from.Close()
			to.Close()
			return
		}
	}
}

func (v *valve) isShut() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.shut
}

func (v *valve) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shut = true
}

// The own seeder falls silent in the middle of a fetch: connections stay, and nothing comes.
func TestSeederFallsSilent(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 8<<20)
	x := newTwoSeeders(t, s, 4<<20)
	seed := newValve(t, "127.0.0.11", x.engines[0].addrPort().String())
	web := newValve(t, "127.0.0.11", x.trackers[0].Listener.Addr().String())
	x.trackers[0].peers = []netip.AddrPort{seed.addrPort()}
	x.seeders[0] = Seeder{HTTP: "http://" + web.Addr().String(), Torrent: seed.addrPort()}
	gap := x.fetch(4, func() {
		seed.close()
		web.close()
	})
	x.checkChange(gap)
}

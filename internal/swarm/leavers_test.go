package swarm

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// BenchmarkStaying measures rooms whose nodes arrive one after another, each when the one before has half: in one they leave as
// soon as they have everything, in the other when nobody they know of lacks anything (until: swarm). It reports how long a node
// takes on average, in seconds, and how many copies the seeder sends.
func BenchmarkStaying(b *testing.B) {
	s := newSample(b, 256<<10, 8<<20)
	for name, stay := range map[string]bool{"leaving": false, "staying": true} {
		b.Run(name, func(b *testing.B) {
			var took time.Duration
			var copies float64
			for b.Loop() {
				t, c := staggered(b, s, 4, 20, stay)
				took, copies = took+t, copies+c
			}
			b.ReportMetric(took.Seconds()/float64(b.N), "s/node")
			b.ReportMetric(copies/float64(b.N), "copies")
		})
	}
}

// staggered returns how long nodes took on average, and how many copies the seeder sent. All links carry 4 MiB/s.
func staggered(t testing.TB, s *sampleSystem, nodes, subnet int, stay bool) (time.Duration, float64) {
	t.Helper()
	const link = 4 << 20
	seeder := newEngine(t, seederAddr, Config{UploadLimit: link})
	if _, err := seeder.Seed(s.torrent, s.dir); err != nil {
		t.Fatal(err)
	}
	tracker := newTracker(t, seeder.addrPort())
	var room sync.WaitGroup
	var mu sync.Mutex
	var sum time.Duration
	for i := range nodes {
		node := newEngine(t, fmt.Sprintf("127.0.%d.%d", subnet, 1+i), Config{
			UploadLimit: link, DownloadLimit: link, Seeders: knownSeeders(),
		})
		src := s.source(t.TempDir())
		src.Trackers = []string{tracker.url()}
		half := make(chan struct{})
		var once sync.Once
		room.Go(func() {
			began := time.Now()
			if err := node.Fetch(t.Context(), src, func(st Stats) {
				if 2*st.Done >= st.Size {
					once.Do(func() { close(half) })
				}
			}); err != nil {
				t.Errorf("node %d: %v", i, err)
				once.Do(func() { close(half) })
			}
			mu.Lock()
			sum += time.Since(began)
			mu.Unlock()
			for stay && node.Leechers(s.system.InfoHash) > 0 {
				sleep(context.Background(), 20*time.Millisecond)
			}
			_ = node.Close()
		})
		<-half
	}
	room.Wait()
	st, _ := seeder.Stats(s.system.InfoHash)
	_ = seeder.Close()
	return sum / time.Duration(nodes), float64(st.Uploaded) / float64(s.system.Size)
}

// BenchmarkOddPeer measures how much longer a room of four takes when one more peer claims to have everything and
// answers late or never: the time of the last node, in seconds. The tracker names it to everybody.
func BenchmarkOddPeer(b *testing.B) {
	const link = 4 << 20
	s := newSample(b, 256<<10, 64<<20)
	for name, answer := range map[string]func(*oddPeer) func(int, int) []byte{
		"none": nil,
		"mute": func(p *oddPeer) func(int, int) []byte { return p.never },
		"1kB":  func(p *oddPeer) func(int, int) []byte { return p.slowly(1000) },
		"20kB": func(p *oddPeer) func(int, int) []byte { return p.slowly(20_000) },
	} {
		b.Run(name, func(b *testing.B) {
			var took time.Duration
			for i := range b.N {
				var odd []netip.AddrPort
				if answer != nil {
					p := newOddPeer(b, fmt.Sprintf("127.0.40.%d", 200+i%50), s, everything, nil)
					p.answer = answer(p)
					odd = append(odd, p.addrPort())
				}
				took += roomOfFour(b, s, Config{UploadLimit: link}, 0, odd...)
			}
			b.ReportMetric(took.Seconds()/float64(b.N), "s/room")
		})
	}
}

// BenchmarkSlowUploads measures a room of four whose nodes may give away next to nothing, at a seeder that is much faster: the
// time of the last node, in seconds. What others have, but can't give fast enough, should come from the seeder.
func BenchmarkSlowUploads(b *testing.B) {
	s := newSample(b, 64<<10, 64<<20)
	var took time.Duration
	for b.Loop() {
		took += roomOfFour(b, s, Config{UploadLimit: 64 << 20}, 1<<20)
	}
	b.ReportMetric(took.Seconds()/float64(b.N), "s/room")
}

// roomOfFour has four nodes that begin at once fetch the sample, and returns the time of the last one. A node gives away no more
// than upload bytes per second; 0 is no limit. The tracker names the seeder and others to everybody.
func roomOfFour(b *testing.B, s *sampleSystem, seederCfg Config, upload int64, others ...netip.AddrPort) time.Duration {
	b.Helper()
	seeder := newSeeder(b, s, seederCfg)
	tracker := newTracker(b, append(others, seeder.addrPort())...)
	engines := []*Engine{seeder}
	var room sync.WaitGroup
	began := time.Now()
	for n := range 4 {
		node := newEngine(b, fmt.Sprintf("127.0.40.%d", 1+n), Config{Seeders: knownSeeders(), UploadLimit: upload})
		engines = append(engines, node)
		src := s.source(b.TempDir())
		src.Trackers = []string{tracker.url()}
		room.Go(func() {
			if err := node.Fetch(b.Context(), src, nil); err != nil {
				b.Error(err)
			}
		})
	}
	room.Wait()
	took := time.Since(began)
	for _, e := range engines {
		_ = e.Close()
	}
	return took
}

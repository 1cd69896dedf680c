package swarm

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// mirrored is a seeder whose link is slow, and a mirror behind that which gives away 50 other torrents as well.
type mirrored struct {
	sample         *sampleSystem
	seeder, mirror *Engine
	first, second  Seeder
	nodes          sync.WaitGroup
	// ended is when the last fetch did.
	mu    sync.Mutex
	ended time.Time
}

func newMirrored(t *testing.T, s *sampleSystem, link int64) *mirrored {
	m := &mirrored{sample: s, seeder: newSeeder(t, s, Config{UploadLimit: link}), mirror: newEngine(t, "127.0.0.10", Config{})}
	trackers := []*testTracker{newTracker(t, m.seeder.addrPort()), newTracker(t, m.mirror.addrPort())}
	m.first = Seeder{HTTP: trackers[0].URL, Torrent: m.seeder.addrPort()}
	m.second = Seeder{HTTP: trackers[1].URL, Torrent: m.mirror.addrPort()}
	for i := range 50 {
		other := newSample(t, 16<<10, 20_000+i)
		if _, err := m.mirror.Seed(other.torrent, other.dir); err != nil {
			t.Fatal(err)
		}
	}
	m.mirror.SetSeeders([]Seeder{m.first})
	return m
}

// fetch has an engine fetch the sample, and tells progress of it.
func (m *mirrored) fetch(t *testing.T, e *Engine, progress func(Stats)) {
	dir := t.TempDir()
	m.nodes.Go(func() {
		if err := e.Fetch(t.Context(), m.sample.source(dir), progress); err != nil {
			t.Errorf("%s: %v", e.addrPort(), err)
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ended = time.Now()
	})
}

// TestFetchBehindMirror has nodes fetch from a mirror that fetches at the same time: the slow link carries everything once, and nodes get
// pieces as they come to the mirror.
func TestFetchBehindMirror(t *testing.T) {
	t.Parallel()
	const size, link = 10 << 20, 2_500_000
	m := newMirrored(t, newSample(t, 128<<10, size), link)
	began := time.Now()
	var nodes []*Engine
	for n := range 4 {
		nodes = append(nodes, newEngine(t, fmt.Sprintf("127.0.2.%d", 1+n), Config{Seeders: []Seeder{m.second, m.first}}))
		m.fetch(t, nodes[n], nil)
	}
	m.fetch(t, m.mirror, func(s Stats) {
		if s.Done < s.Size*3/4 {
			return
		}
		for _, node := range nodes {
			if n, _ := node.Stats(m.sample.system.InfoHash); n.Done < s.Size/4 {
				t.Errorf("the mirror has %d of %d bytes, and a node only %d", s.Done, s.Size, n.Done)
			}
		}
	})
	m.nodes.Wait()
	took, least := m.ended.Sub(began), time.Duration(float64(size)/link*float64(time.Second))
	copies := float64(m.seeder.Torrents()[0].Uploaded) / size
	t.Logf("the slow link carried %.3f copies, the last node took %.2f times as long as that needs for one", copies, took.Seconds()/least.Seconds())
	if copies > 1.1 {
		t.Errorf("the slow link carried %.3f copies, want 1.1 at most", copies)
	}
}

// TestMirrorAmongNodes has nodes of the first seeder's own network fetch at the same time: the mirror gets a part from them, and each
// piece once.
func TestMirrorAmongNodes(t *testing.T) {
	t.Parallel()
	const size, link = 10 << 20, 2_500_000
	m := newMirrored(t, newSample(t, 128<<10, size), link)
	for n := range 3 {
		m.fetch(t, newEngine(t, fmt.Sprintf("127.0.3.%d", 1+n), Config{Seeders: []Seeder{m.first, m.second}}), nil)
	}
	m.fetch(t, m.mirror, nil)
	for n := range 3 {
		m.fetch(t, newEngine(t, fmt.Sprintf("127.0.4.%d", 1+n), Config{Seeders: []Seeder{m.second, m.first}}), nil)
	}
	m.nodes.Wait()
	got, _ := m.mirror.Stats(m.sample.system.InfoHash)
	copies := float64(m.seeder.Torrents()[0].Uploaded) / size
	t.Logf("the mirror got %.2f copies from the seeder and %.2f from its nodes; the seeder sent %.2f", float64(got.FromSeeder)/size, float64(got.FromNodes)/size, copies)
	if got.FromNodes == 0 || float64(got.Received()) > 1.05*size {
		t.Errorf("the mirror got %d bytes of the seeder and %d of nodes for %d", got.FromSeeder, got.FromNodes, size)
	}
	if copies > 1.5 {
		t.Errorf("the seeder sent %.2f copies", copies)
	}
}

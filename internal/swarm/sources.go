package swarm

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// maxSources is of how many addresses it is counted what came from them: more than a torrent has connections.
const maxSources = 512

// sources are how many bytes of payload came from which address. The zero value is ready.
type sources map[netip.Addr]int64

func (s *sources) add(from netip.Addr, bytes int64) {
	if *s == nil {
		*s = sources{}
	}
	if _, known := (*s)[from]; known || len(*s) < maxSources {
		(*s)[from] += bytes
	}
}

// most are those that gave most.
func (s sources) most() []report.Source {
	all := make([]report.Source, 0, len(s))
	for addr, bytes := range s {
		all = append(all, report.Source{Addr: addr, Bytes: bytes})
	}
	slices.SortFunc(all, func(a, b report.Source) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), a.Addr.Compare(b.Addr)) })
	return all[:min(len(all), report.MaxSources)]
}

// sources are the nodes that gave most of a torrent.
func (c *connections) sources(f *entry) []report.Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.sources.most()
}

// bySeeder is how much of a torrent came from which seeder; nothing if the engine knows of one alone.
func (c *connections) bySeeder(f *entry) []report.Source {
	if len(c.seeders.get()) < 2 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.bySeeder.most()
}

// fetched takes up that so many bytes came by HTTP from the seeder that has an address.
func (c *connections) fetched(f *entry, from netip.Addr, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.bySeeder.add(from, int64(n))
}

// speed is how fast something is done, by what was done and how long that took, waits between not counted.
type speed struct{ bytes, nanoseconds atomic.Int64 }

func (s *speed) add(bytes int, took time.Duration) {
	s.bytes.Add(int64(bytes))
	s.nanoseconds.Add(int64(took))
}

// rate is in bytes per second; 0 if nothing was done yet.
func (s *speed) rate() int64 {
	if took := time.Duration(s.nanoseconds.Load()); took > 0 {
		return int64(float64(s.bytes.Load()) / took.Seconds())
	}
	return 0
}

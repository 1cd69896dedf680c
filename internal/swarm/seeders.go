package swarm

import (
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Seeder is what an engine knows of one of a site's seeders.
type Seeder struct {
	// HTTP is its base URL, without a slash at the end. Its tracker and its web seeds are below that. Empty: not known.
	HTTP string
	// Torrent is where its seed takes connections. Its tracker names the seed as well, so port 0 will do: then the address is that by
	// which what the seeder sends is told from what nodes send.
	Torrent netip.AddrPort
}

// announceURL is the seeder's tracker; empty: not known.
func (s Seeder) announceURL() string {
	if s.HTTP == "" {
		return ""
	}
	return s.HTTP + catalog.PathAnnounce
}

// addr is where the seeder's connections come from: that of its seed, or of its HTTP server if that is all that is known.
func (s Seeder) addr() netip.Addr {
	if a := s.Torrent.Addr(); a.IsValid() {
		return a.Unmap()
	}
	u, err := url.Parse(s.HTTP)
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(u.Hostname())
	return a.Unmap()
}

// seeders are those an engine knows, its own first. They may be read at any time, as every block that comes is counted by them.
type seeders struct{ now atomic.Pointer[seederList] }

type seederList struct {
	all   []Seeder
	addrs []netip.Addr
	// changed is closed when there is another list.
	changed chan struct{}
}

// set makes these the seeders, and reports whether they are others than before.
func (s *seeders) set(list []Seeder) bool {
	before := s.now.Load()
	if before != nil && slices.Equal(before.all, list) {
		return false
	}
	now := &seederList{all: slices.Clone(list), changed: make(chan struct{})}
	for _, seeder := range list {
		now.addrs = append(now.addrs, seeder.addr())
	}
	s.now.Store(now)
	if before != nil {
		close(before.changed)
	}
	return true
}

// get returns the seeders. The slice is not changed.
func (s *seeders) get() []Seeder { return s.now.Load().all }

// changed is closed when there are others.
func (s *seeders) changed() <-chan struct{} { return s.now.Load().changed }

// rank is which of the seeders has an address: 0 is the engine's own, -1 is none.
func (s *seeders) rank(a netip.Addr) int {
	if !a.IsValid() {
		return -1
	}
	return slices.Index(s.now.Load().addrs, a)
}

// has reports whether an address is a seeder's.
func (s *seeders) has(a netip.Addr) bool { return s.rank(a) >= 0 }

// SetSeeders makes these the seeders that the engine knows, the first of them its own. Fetches go on: connections that are open stay, and
// what comes over them is counted by the new list. It must not be called by several goroutines at a time.
func (e *Engine) SetSeeders(list []Seeder) {
	own := e.ownSeed()
	if !e.seeders.set(list) {
		return
	}
	e.conns.reclassify()
	e.snubs.reclassify()
	if now := e.ownSeed(); !slices.Equal(own, now) {
		for _, f := range e.entries() {
			f.reach.turn.Add(1)
			e.dial(f, now)
		}
	}
}

// rival returns what reports whether a node divides a torrent's pieces with this engine. Nodes always do. A mirror does with nodes of
// the seeder that it follows, not with its own: those wait for what it gets.
func (e *Engine) rival(f *entry) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return !e.serves || f.reach.isNear(a) }
}

// ownSeed is where the own seeder's seed is, if that is known without its tracker.
func (e *Engine) ownSeed() []netip.AddrPort {
	if list := e.seeders.get(); len(list) > 0 && list[0].Torrent.Port() != 0 {
		return []netip.AddrPort{list[0].Torrent}
	}
	return nil
}

// trackers are the announce URLs for a torrent by their tiers: that of the own seeder and those given; those of the other seeders.
func (e *Engine) trackers(given []string) (first, second []string) {
	for i, s := range e.seeders.get() {
		switch url := s.announceURL(); {
		case url == "":
		case i == 0:
			first = append(first, url)
		default:
			second = append(second, url)
		}
	}
	return append(first, given...), second
}

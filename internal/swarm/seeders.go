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
type seeders struct{ list atomic.Pointer[[]Seeder] }

func (s *seeders) set(list []Seeder) {
	list = slices.Clone(list)
	s.list.Store(&list)
}

// get returns the seeders. The slice is not changed.
func (s *seeders) get() []Seeder {
	if list := s.list.Load(); list != nil {
		return *list
	}
	return nil
}

// has reports whether an address is a seeder's.
func (s *seeders) has(a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(s.get(), func(k Seeder) bool { return k.addr() == a })
}

// SetSeeders makes these the seeders that the engine knows, the first of them its own. Fetches go on: what comes over connections that
// are open is counted by the new list.
func (e *Engine) SetSeeders(list []Seeder) {
	e.seeders.set(list)
	e.conns.reclassify()
	e.snubs.reclassify()
}

// trackers are the announce URLs for a torrent: those given, behind that of the engine's own seeder.
func (e *Engine) trackers(given []string) (all []string) {
	if list := e.seeders.get(); len(list) > 0 {
		given = append([]string{list[0].announceURL()}, given...)
	}
	return unique(given)
}

// webSeeds are the web seeds for a torrent: the given ones, then those of the seeders.
func (e *Engine) webSeeds(h catalog.InfoHash, given []string) []string {
	all := slices.Clone(given)
	for _, s := range e.seeders.get() {
		if s.HTTP != "" {
			all = append(all, s.HTTP+catalog.WebSeedPath(h))
		}
	}
	return unique(all)
}

// unique leaves out what is empty and what was there before.
func unique(given []string) (all []string) {
	for _, s := range given {
		if s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

package swarm

import (
	"net/netip"
	"slices"
	"sync"
)

// banned are the peers that the library bans, as far as they were named.
type banned struct {
	mu    sync.Mutex
	named []netip.Addr
}

func (b *banned) list() []netip.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.named)
}

// add reports whether a peer is new here.
func (b *banned) add(a netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.Contains(b.named, a) {
		return false
	}
	b.named = append(b.named, a)
	return true
}

// nameBanned says whom the library has banned: it bans the one peer that a piece with a wrong hash came from, and if it
// came from several, those whose blocks differ from what the piece turns out to be.
func (e *Engine) nameBanned() {
	for _, ip := range e.client.BadPeerIPs() {
		a, err := netip.ParseAddr(ip)
		if a = a.Unmap(); err != nil || !e.banned.add(a) {
			continue
		}
		e.log.Warn("a peer sent wrong data: it is not spoken to any more", "peer", a, "seeder", e.seeders.has(a))
	}
}

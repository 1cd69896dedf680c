package tracker

import (
	"math/rand/v2"
	"net/netip"
)

// Where racks are known, a client gets at most nearPeers of its own rack and farPeers of others: connections are shared out
// evenly over those a client is told of, and what crosses an uplink is what is scarce. A thousand nodes in 20 racks, with
// an uplink a fifth of what a rack's nodes have together, took half the time of a choice by chance
// (integration/bench/sim). A client in a small rack gets more far ones, up to fewPeers in all.
const (
	nearPeers = 60
	farPeers  = 5
	fewPeers  = 20
)

// rackOf is the smallest of the racks an address is in; the zero Prefix if it is in none.
func (t *Tracker) rackOf(addr netip.Addr) (rack netip.Prefix) {
	for _, r := range t.cfg.Racks {
		if r.Contains(addr) && (!rack.IsValid() || r.Bits() > rack.Bits()) {
			rack = r
		}
	}
	return rack
}

// chooseByRack is choose for a client in a rack: mostly peers that are in it as well, and some that are not, in any order,
// as clients may dial in that of the list. Without a rack it is choose.
func (s *swarm) chooseByRack(n int, complete bool, rack netip.Prefix, skip func(*peer) bool) []peer {
	if !rack.IsValid() {
		return s.choose(n, complete, skip)
	}
	near := s.choose(min(nearPeers, max(n-farPeers, 0)), complete, func(p *peer) bool { return !rack.Contains(p.addr.Addr()) || skip(p) })
	far := min(max(farPeers, fewPeers-len(near)), n-len(near))
	chosen := append(near, s.choose(far, complete, func(p *peer) bool { return rack.Contains(p.addr.Addr()) || skip(p) })...)
	rand.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

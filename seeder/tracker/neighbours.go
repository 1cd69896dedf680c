package tracker

import (
	"math/rand/v2"
	"net/netip"
)

// What crosses an uplink between networks is scarce. So a client of one of the seeder's own networks is told of at most nearPeers of its
// own network and of farPeers of the seeder's others, its racks: connections are shared out evenly over those a client is told of.
// A thousand nodes in 20 racks, with an uplink a fifth of what a rack's nodes have together, took half the time of a choice by chance
// (integration/bench/sim). A client in a small network gets more far ones, up to fewPeers in all.
//
// A client from elsewhere has another seeder, which is away, or is a mirror that fetches what it hands on. It is told of those of its own
// network that announce here, and of this seeder's seed. A mirror (mirror=1) is told of a few of the seeder's own nodes as well, and of other
// mirrors: what it gets comes once for its whole network. A node is not: with nodes that lack something it would trade over the uplink, and
// what far nodes have it would not divide with its neighbours, as what other nodes have may be had often. The seeder's own nodes are not
// told of clients from elsewhere.
//
// A visitor is a client whose own seeder answers, and that wants to know a few peers here in case that it needs them later. It says so by
// far=1, a parameter of this project. It knows its neighbours already, and nobody is told of it.
const (
	nearPeers = 60
	farPeers  = 5
	fewPeers  = 20
)

// place is where a client stands: network is what it shares with its neighbours, and own says that this is one of the seeder's.
type place struct {
	network netip.Prefix
	own     bool
}

// group is the peers of one torrent at one place. The two lists make a random choice cheap whatever the swarm's size.
type group struct {
	place
	complete   []*peer
	incomplete []*peer
}

func (g *group) list(complete bool) *[]*peer {
	if complete {
		return &g.complete
	}
	return &g.incomplete
}

// placeOf is where the sender of an announce stands.
func (t *Tracker) placeOf(a announce) (at place) {
	at.network, at.own = t.cfg.Network(a.addr.Addr())
	return at
}

// chooseFor returns up to n peers for a client, in any order, as clients may dial in that of the list. A complete client is told of
// incomplete ones only: two complete peers have nothing to say to each other. An incomplete one is told of both kinds alike, so that a
// swarm's connections are spread evenly over all that have something. skip are those not to be told of.
func (s *swarm) chooseFor(at place, a announce, n int, skip func(*peer) bool) []peer {
	near, far := s.lists(at, a)
	most := n
	switch {
	case a.visits && !at.own:
		most = 0
	case len(far) > 0:
		most = min(nearPeers, n-min(farPeers, n/8))
	}
	chosen := choose(most, near, skip)
	few := min(max(farPeers, fewPeers-len(chosen)), n-len(chosen))
	chosen = append(chosen, choose(few, far, skip)...)
	rand.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

// lists are those to choose from for a client: of its neighbours, and of others.
func (s *swarm) lists(at place, a announce) (near, far [][]*peer) {
	for _, g := range s.groups {
		to := &far
		switch {
		case g.place == at:
			to = &near
		case at.own && !g.own, !at.own && !a.mirror && !a.visits:
			continue
		}
		*to = append(*to, g.incomplete)
		if !a.complete {
			*to = append(*to, g.complete)
		}
	}
	return near, far
}

// countsFor is how many a client of a place is told that there are: in the seeder's networks, or in its own if that is another. Nodes give
// for as long as others lack something; whoever is elsewhere has a seeder there.
func (s *swarm) countsFor(at place) (complete, incomplete int) {
	for _, g := range s.groups {
		if g.place == at || g.own && at.own {
			complete, incomplete = complete+len(g.complete), incomplete+len(g.incomplete)
		}
	}
	return complete, incomplete
}

// choose returns up to n peers of the lists at random.
func choose(n int, lists [][]*peer, skip func(*peer) bool) []peer {
	left := 0
	for _, l := range lists {
		left += len(l)
	}
	chosen := make([]peer, 0, max(0, min(n, left)))
	drawn := make([]int, len(lists))
	for ; len(chosen) < n && left > 0; left-- {
		// One of those not drawn yet, each as likely; which list it is in follows from its number.
		i, k := rand.IntN(left), 0
		for i >= len(lists[k])-drawn[k] {
			i -= len(lists[k]) - drawn[k]
			k++
		}
		p := draw(lists[k], &drawn[k], i)
		if !skip(p) {
			chosen = append(chosen, *p)
		}
	}
	return chosen
}

// draw moves the i-th of the peers not drawn yet to the end of those drawn at the front of the list: one step of a
// Fisher–Yates shuffle in place.
func draw(list []*peer, drawn *int, i int) *peer {
	a, b := *drawn, *drawn+i
	list[a], list[b] = list[b], list[a]
	list[a].index, list[b].index = a, b
	*drawn++
	return list[a]
}

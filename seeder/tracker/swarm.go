package tracker

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/boottorrent/boottorrent/internal/quota"
)

// peer is one client of one torrent, known by the address and port it is reached at. (BEP 3's peer ID and the "key"
// parameter are not needed to tell peers apart: a client that moves to another address is forgotten at the old one
// within two intervals.)
type peer struct {
	addr     netip.AddrPort
	id       string
	complete bool
	seen     time.Time
	// index is its place in its swarm's list.
	index int
	swarm *swarm
	item  *quota.Item[*peer]
}

// swarm is the peers of one torrent. The two lists make a random choice cheap whatever the swarm's size.
type swarm struct {
	byAddr     map[netip.AddrPort]*peer
	complete   []*peer
	incomplete []*peer
	// downloaded is how many peers became complete (BEP 48).
	downloaded int
	nextSweep  time.Time
	// known is the peers of all swarms.
	known *quota.Stock[*peer]
}

func newSwarm(known *quota.Stock[*peer]) *swarm {
	return &swarm{byAddr: map[netip.AddrPort]*peer{}, known: known}
}

// clear forgets all peers.
func (s *swarm) clear() {
	for _, p := range s.byAddr {
		s.remove(p)
	}
}

func (s *swarm) list(complete bool) *[]*peer {
	if complete {
		return &s.complete
	}
	return &s.incomplete
}

func (s *swarm) add(p *peer) {
	l := s.list(p.complete)
	p.index = len(*l)
	*l = append(*l, p)
	s.byAddr[p.addr] = p
	p.swarm, p.item = s, s.known.Add(p.addr.Addr(), 1, p)
}

func (s *swarm) remove(p *peer) {
	l := s.list(p.complete)
	last := len(*l) - 1
	(*l)[p.index] = (*l)[last]
	(*l)[p.index].index = p.index
	(*l)[last] = nil
	*l = (*l)[:last]
	delete(s.byAddr, p.addr)
	s.known.Remove(p.item)
}

// record notes what an announce says about its sender.
func (s *swarm) record(a announce, now time.Time) {
	old, known := s.byAddr[a.addr]
	// Not every client sends the event "completed": aria2c that has no time to seed says "stopped" with nothing left.
	if known && !old.complete && a.complete {
		s.downloaded++
	}
	if a.event == eventStopped {
		if known {
			s.remove(old)
		}
		return
	}
	s.update(a.addr, a.peerID, a.complete, now)
}

// update makes a peer known or known anew. When there are too many, of its address or in all, another one is forgotten.
func (s *swarm) update(addr netip.AddrPort, id string, complete bool, now time.Time) {
	if old, ok := s.byAddr[addr]; ok {
		if old.complete == complete {
			old.id, old.seen = id, now
			s.known.Touch(old.item)
			return
		}
		s.remove(old)
	}
	s.add(&peer{addr: addr, id: id, complete: complete, seen: now})
	gone := s.known.Excess()
	if s.known.Held(addr.Addr()) > maxOfAddress {
		gone = s.known.Oldest(addr.Addr())
	}
	if gone != nil {
		gone.Value.swarm.remove(gone.Value)
	}
}

// sweep removes the peers that have been silent for longer than a time, and those that were last seen later than it is: then the
// clock was set back.
func (s *swarm) sweep(now time.Time, lifetime time.Duration) {
	for _, p := range s.byAddr {
		if age := now.Sub(p.seen); age > lifetime || age < -lifetime {
			s.remove(p)
		}
	}
}

// choose returns up to n peers at random for one that asks. A complete peer is told of incomplete ones only: two
// complete peers have nothing to say to each other. An incomplete one is told of both kinds alike, so that a swarm's
// connections are spread evenly over all that have something. skip are those not to be told of.
func (s *swarm) choose(n int, complete bool, skip func(*peer) bool) []peer {
	lists := [][]*peer{s.incomplete}
	if !complete {
		lists = append(lists, s.complete)
	}
	left := 0
	for _, l := range lists {
		left += len(l)
	}
	var chosen []peer
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

package tracker

import (
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
	// index is its place in its group's list.
	index int
	group *group
	swarm *swarm
	item  *quota.Item[*peer]
}

// swarm is the peers of one torrent.
type swarm struct {
	byAddr map[netip.AddrPort]*peer
	// groups are those that have a peer.
	groups map[place]*group
	// downloaded is how many peers became complete (BEP 48).
	downloaded int
	nextSweep  time.Time
	// known is the peers of all swarms.
	known *quota.Stock[*peer]
}

func newSwarm(known *quota.Stock[*peer]) *swarm {
	return &swarm{byAddr: map[netip.AddrPort]*peer{}, groups: map[place]*group{}, known: known}
}

// clear forgets all peers.
func (s *swarm) clear() {
	for _, p := range s.byAddr {
		s.remove(p)
	}
}

// counts are how many peers have all, and how many lack something.
func (s *swarm) counts() (complete, incomplete int) {
	for _, g := range s.groups {
		complete, incomplete = complete+len(g.complete), incomplete+len(g.incomplete)
	}
	return complete, incomplete
}

func (s *swarm) add(p *peer, at place) {
	g := s.groups[at]
	if g == nil {
		g = &group{place: at}
		s.groups[at] = g
	}
	l := g.list(p.complete)
	p.index = len(*l)
	*l = append(*l, p)
	s.byAddr[p.addr] = p
	p.swarm, p.group, p.item = s, g, s.known.Add(p.addr.Addr(), 1, p)
}

func (s *swarm) remove(p *peer) {
	l := p.group.list(p.complete)
	last := len(*l) - 1
	(*l)[p.index] = (*l)[last]
	(*l)[p.index].index = p.index
	(*l)[last] = nil
	*l = (*l)[:last]
	if len(p.group.complete)+len(p.group.incomplete) == 0 {
		delete(s.groups, p.group.place)
	}
	delete(s.byAddr, p.addr)
	s.known.Remove(p.item)
}

// record notes what an announce says about its sender.
func (s *swarm) record(a announce, at place, now time.Time) {
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
	s.update(a, at, now)
}

// update makes a peer known or known anew. When there are too many, of its address or in all, another one is forgotten.
func (s *swarm) update(a announce, at place, now time.Time) {
	if old, ok := s.byAddr[a.addr]; ok {
		if old.complete == a.complete && old.group.place == at {
			old.id, old.seen = a.peerID, now
			s.known.Touch(old.item)
			return
		}
		s.remove(old)
	}
	s.add(&peer{addr: a.addr, id: a.peerID, complete: a.complete, seen: now}, at)
	gone := s.known.Excess()
	if s.known.Held(a.addr.Addr()) > maxOfAddress {
		gone = s.known.Oldest(a.addr.Addr())
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

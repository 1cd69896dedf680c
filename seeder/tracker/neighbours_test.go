package tracker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// networks has a tracker whose own networks are the first n of newRoom's nodes, 250 in each of 10.0.1.0/24 and so on. Elsewhere those of
// one /24 share a network.
func networks(n int) func(netip.Addr) (netip.Prefix, bool) {
	return func(addr netip.Addr) (netip.Prefix, bool) {
		network, _ := addr.Prefix(24)
		third := int(addr.As4()[2])
		return network, third >= 1 && third <= n
	}
}

// split counts the peers told that are in a network, given by the beginning of its addresses, and the others; the seed is neither.
func split(peers []string, network string) (near, far int) {
	for _, p := range peers {
		switch {
		case p == seed.String():
		case strings.HasPrefix(p, network):
			near++
		default:
			far++
		}
	}
	return near, far
}

func TestNeighboursFirst(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(3)
	for n := range 750 {
		r.node(t, n, "")
	}
	for more, want := range map[string]struct{ near, far int }{
		"&numwant=200": {60, 5}, "": {44, 5}, "&numwant=10": {8, 1}, "&numwant=3": {2, 0}, "&numwant=0": {0, 0},
	} {
		peers := compact(t, r.node(t, 300, more)) // in the second network
		near, far := split(peers, "10.0.2.")
		if near != want.near || far != want.far {
			t.Errorf("%q: %d near and %d far, want %d and %d", more, near, far, want.near, want.far)
		}
		slices.Sort(peers)
		if slices.Contains(peers, "10.0.2.50:6881") || len(slices.Compact(peers)) != near+far+min(1, len(peers)) {
			t.Errorf("%q: itself, or a peer twice: %v", more, peers)
		}
	}
}

func TestOneNetworkIsToldAlike(t *testing.T) {
	r := newRoom()
	for n := range 500 {
		r.node(t, n, "")
	}
	if got := compact(t, r.node(t, 300, "&numwant=200")); len(got) != 200 {
		t.Errorf("told of %d, want 200: there is nobody far", len(got))
	}
}

func TestSmallNetwork(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(2)
	for n := range 100 {
		r.node(t, 248+n, "")
	}
	if got := compact(t, r.node(t, 248, "&numwant=200")); len(got) != 21 || !slices.Contains(got, "10.0.1.249:6881") {
		t.Errorf("one of two in a network is told of %v, want the seed, the other and 19 more", got)
	}
}

// A node whose own seeder answers asks for two peers of this one: it learns of the seed and one of this seeder's nodes, though it has
// neighbours that asked as well, and nobody here is told of it or waits for it.
func TestVisitors(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(1)
	for n := range 10 {
		r.node(t, n, "&numwant=200")       // in 10.0.1.0/24, its own
		r.node(t, 250+n, "&numwant=2")     // in 10.0.2.0/24
		r.node(t, 500+n, "&numwant=2")     // in 10.0.3.0/24
		r.node(t, 250+240+n, "&numwant=2") // in 10.0.2.0/24
	}
	visitor := compact(t, r.node(t, 250, "&numwant=2"))
	if near, far := split(visitor, "10.0.1."); near != 1 || far != 0 || visitor[0] != seed.String() {
		t.Errorf("a visitor is told of %v, want the seed and one of its nodes", visitor)
	}
	d := r.node(t, 3, "&numwant=200")
	if near, far := split(compact(t, d), "10.0.1."); near != 9 || far != 0 {
		t.Errorf("an own node is told of %d own ones and %d others, want 9 and none", near, far)
	}
	if d["incomplete"] != 10 || d["complete"] != 1 {
		t.Errorf("an own node hears of %v incomplete and %v complete, want the 10 own ones and the seed", d["incomplete"], d["complete"])
	}
	if _, all := r.Swarm(torrent); all != 40 {
		t.Errorf("%d are known, want all 40", all)
	}
}

// The nodes of a seeder that is away ask for all: they find their neighbours, a few of this seeder's nodes, and no visitors.
func TestNodesOfAnotherSeeder(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(1)
	for n := range 100 {
		r.node(t, n, "&numwant=200")
		r.node(t, 250+n, "&numwant=200")
		r.node(t, 500+n, "&numwant=2")
	}
	d := r.node(t, 250, "&numwant=200")
	peers := compact(t, d)
	near, far := split(peers, "10.0.2.")
	own, _ := split(peers, "10.0.1.")
	if near != 60 || far != 5 || own != 5 || d["incomplete"] != 100 {
		t.Errorf("told of %d neighbours, %d others of which %d are the seeder's, %v incomplete, want 60, 5, 5 and 100", near, far, own, d["incomplete"])
	}
	if near, far := split(compact(t, r.node(t, 7, "&numwant=200")), "10.0.1."); near != 99 || far != 0 {
		t.Errorf("an own node is told of %d own ones and %d others, want 99 and none", near, far)
	}
}

// Mirrors of many networks, each alone in its own, learn of each other and of the first seeder's nodes.
func TestMirrorsFindEachOther(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(1)
	for n := range 30 {
		r.node(t, 250*(2+n), "&numwant=200")
		r.node(t, 250*(2+n)+1, "&numwant=2")
	}
	peers := compact(t, r.node(t, 500, "&numwant=200"))
	visitors := slices.ContainsFunc(peers, func(p string) bool { return p != seed.String() && strings.HasSuffix(p, ".1:6881") })
	if len(peers) != 21 || visitors {
		t.Errorf("a mirror is told of %d, visitors among them: %v; want the seed and 20 mirrors: %v", len(peers), visitors, peers)
	}
}

// Where nobody else is left, visitors are told of each other.
func TestOnlyVisitors(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(0)
	r.node(t, 1, "&numwant=2")
	if got := compact(t, r.node(t, 251, "&numwant=2")); !slices.Equal(got, []string{seed.String(), "10.0.1.1:6881"}) {
		t.Errorf("told of %v, want the seed and the other visitor", got)
	}
}

// A node that visited is told to others when it asks for more, and no longer when it visits again.
func TestVisitorsBecomePeers(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(1)
	r.node(t, 750, "&numwant=200")
	for _, c := range []struct{ numwant, told string }{{"2", "10.0.4.0:6881"}, {"200", "10.0.2.0:6881"}, {"2", "10.0.4.0:6881"}} {
		r.node(t, 250, "&numwant="+c.numwant)
		if got := compact(t, r.node(t, 500, "&numwant=200")); !slices.Contains(got, c.told) || slices.Contains(got, "10.0.2.0:6881") != (c.numwant == "200") {
			t.Errorf("numwant=%s: another is told of %v", c.numwant, got)
		}
		if _, incomplete := r.Swarm(torrent); incomplete != 3 {
			t.Errorf("numwant=%s: %d are known, want 3", c.numwant, incomplete)
		}
	}
}

func BenchmarkAnnounce10kPeersInRacks(b *testing.B) {
	r := newRoom()
	r.cfg.Network = networks(40)
	for n := range 10_000 {
		r.node(b, n, "")
	}
	b.ResetTimer()
	for n := range b.N {
		r.node(b, n%10_000, "&numwant=200")
	}
}

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

// A node whose own seeder answers asks for two peers of this one: it learns of the seed and one of this seeder's nodes, though it has a
// neighbour that announces here. Nobody is told of it or waits for it.
func TestVisitors(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(1)
	for n := range 10 {
		r.node(t, n, "&numwant=200")             // in 10.0.1.0/24, its own
		r.node(t, 250+n, "&numwant=2&far=1")     // in 10.0.2.0/24
		r.node(t, n+20, "&numwant=2&far=1")      // a network with two seeders
		r.node(t, 500, "&numwant=200")           // in 10.0.3.0/24
		r.node(t, 501+n, "&numwant=2&far=1")     // beside it
		r.node(t, n, "&numwant=200&far=0")       // and what is not "1" is none
		r.node(t, 510+n, "&far=1&event=stopped") // nor does one leave that was not there
	}
	for range 20 {
		if got := compact(t, r.node(t, 501, "&numwant=2&far=1")); len(got) != 2 || got[0] != seed.String() || !strings.HasPrefix(got[1], "10.0.1.") {
			t.Errorf("a visitor is told of %v, want the seed and one of its nodes", got)
		}
	}
	if got := compact(t, r.node(t, 20, "&numwant=2&far=1")); len(got) != 2 || !strings.HasPrefix(got[1], "10.0.1.") {
		t.Errorf("a visitor in the seeder's own network is told of %v, want the seed and one node", got)
	}
	d := r.node(t, 3, "&numwant=200")
	if near, far := split(compact(t, d), "10.0.1."); near != 9 || far != 0 {
		t.Errorf("an own node is told of %d own ones and %d others, want 9 and none", near, far)
	}
	if d["incomplete"] != 10 || d["complete"] != 1 {
		t.Errorf("an own node hears of %v incomplete and %v complete, want the 10 own ones and the seed", d["incomplete"], d["complete"])
	}
	if _, all := r.Swarm(torrent); all != 11 {
		t.Errorf("%d are known, want 11: the own nodes and one from elsewhere", all)
	}
}

// The nodes of a seeder that is away ask for all: they find their neighbours and the seed. This seeder's nodes are not told of them.
func TestNodesOfAnotherSeeder(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(1)
	for n := range 100 {
		r.node(t, n, "&numwant=200")
		r.node(t, 250+n, "&numwant=200")
	}
	for n := range 10 {
		r.node(t, n, "&event=completed")
	}
	d := r.node(t, 250, "&numwant=200")
	peers := compact(t, d)
	if near, far := split(peers, "10.0.2."); near != 99 || far != 0 || len(peers) != 100 || d["incomplete"] != 100 {
		t.Errorf("told of %d neighbours and %d others of %d, and that %v are incomplete, want 99, none, 100 and 100", near, far, len(peers), d["incomplete"])
	}
	if near, far := split(compact(t, r.node(t, 50, "&numwant=200")), "10.0.1."); near != 99 || far != 0 {
		t.Errorf("an own node is told of %d own ones and %d others, want 99 and none", near, far)
	}
}

// A mirror is told of this seeder's nodes even if they lack something.
func TestMirrorAmongNodes(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(1)
	for n := range 100 {
		r.node(t, n, "&numwant=200")
	}
	if own, others := split(compact(t, r.node(t, 250, "&numwant=200&mirror=1")), "10.0.1."); own != 20 || others != 0 {
		t.Errorf("a mirror is told of %d of the seeder's nodes and %d others, want 20", own, others)
	}
}

// Mirrors of many networks, each alone in its own, learn of each other and of the first seeder's nodes.
func TestMirrorsFindEachOther(t *testing.T) {
	r := newRoom()
	r.cfg.Network = networks(1)
	for n := range 30 {
		r.node(t, 250*(2+n), "&numwant=200&mirror=1")
	}
	r.node(t, 1, "&numwant=200")
	if peers := compact(t, r.node(t, 500, "&numwant=200&mirror=1")); len(peers) != 21 {
		t.Errorf("a mirror is told of %d, want the seed and 20 others: %v", len(peers), peers)
	}
	if peers := compact(t, r.node(t, 1, "&numwant=200")); len(peers) != 1 {
		t.Errorf("a node of the first seeder is told of %v, want the seed alone", peers)
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

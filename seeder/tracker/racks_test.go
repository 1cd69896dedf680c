package tracker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// racks are those of newRoom's nodes: 250 in each of 10.0.1.0/24 and so on.
func racks(n int) (all []netip.Prefix) {
	for i := range n {
		all = append(all, netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i+1)))
	}
	return all
}

func TestRacks(t *testing.T) {
	r := newRoom()
	r.cfg.Racks = racks(3)
	for n := range 1000 {
		r.node(t, n, "")
	}
	for more, want := range map[string]struct{ near, far int }{
		"&numwant=200": {60, 5}, "": {44, 5}, "&numwant=10": {4, 5}, "&numwant=3": {0, 2}, "&numwant=0": {0, 0},
	} {
		peers := compact(t, r.node(t, 300, more)) // in the second rack
		near, far := 0, 0
		for _, p := range peers {
			switch {
			case p == seed.String():
			case strings.HasPrefix(p, "10.0.2."):
				near++
			default:
				far++
			}
		}
		if near != want.near || far != want.far {
			t.Errorf("%q: %d near and %d far, want %d and %d", more, near, far, want.near, want.far)
		}
		slices.Sort(peers)
		if slices.Contains(peers, "10.0.2.50:6881") || len(slices.Compact(peers)) != near+far+min(1, len(peers)) {
			t.Errorf("%q: itself, or a peer twice: %v", more, peers)
		}
	}
	if got := compact(t, r.node(t, 900, "&numwant=200")); len(got) != 200 {
		t.Errorf("a node in no rack is told of %d, want 200", len(got))
	}
}

func TestSmallRack(t *testing.T) {
	r := newRoom()
	r.cfg.Racks = racks(1)
	for n := range 100 {
		r.node(t, 248+n, "")
	}
	if got := compact(t, r.node(t, 248, "&numwant=200")); len(got) != 21 || !slices.Contains(got, "10.0.1.249:6881") {
		t.Errorf("one of two in a rack is told of %v, want the seed, the other and 19 more", got)
	}
}

func TestSmallestRackCounts(t *testing.T) {
	tr := New(Config{Racks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.0.1.0/24")}})
	for addr, want := range map[string]string{"10.0.1.7": "10.0.1.0/24", "10.9.1.7": "10.0.0.0/8", "192.168.1.1": "invalid Prefix"} {
		if got := tr.rackOf(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s is in %s, want %s", addr, got, want)
		}
	}
}

func BenchmarkAnnounce10kPeersInRacks(b *testing.B) {
	r := newRoom()
	r.cfg.Racks = racks(40)
	for n := range 10_000 {
		r.node(b, n, "")
	}
	b.ResetTimer()
	for n := range b.N {
		r.node(b, n%10_000, "&numwant=200")
	}
}

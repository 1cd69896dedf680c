package sim

import (
	"math/rand/v2"
	"time"
)

// tracker tells nodes of each other, as seeder/tracker does.
type tracker struct {
	seed               int32 // whose it is
	nearby             bool  // all that announce here are in one rack, or all are mirrors
	near, far, numwant int
	rand               *rand.Rand
	all                []int32
	// perRack are the nodes in each rack.
	perRack   [][]int32
	announces int
	// perSecond is how many came in each second.
	perSecond []int
}

func newTracker(s *Scenario, r *rand.Rand, seed int32) *tracker {
	return &tracker{seed: seed, nearby: s.Mirrors, near: s.Near, far: s.Far, numwant: s.Numwant, rand: r, perRack: make([][]int32, s.Racks)}
}

func (t *tracker) count(now time.Duration) {
	t.announces++
	second := int(now / time.Second)
	for len(t.perSecond) <= second {
		t.perSecond = append(t.perSecond, 0)
	}
	t.perSecond[second]++
}

// peak is the most that came in within a second.
func (t *tracker) peak() (most int) {
	for _, n := range t.perSecond {
		most = max(most, n)
	}
	return most
}

// mirrorPeers is how many a mirror is told of beside the seeder (seeder/tracker).
const mirrorPeers = 20

// announce returns whom to dial: the seeder first.
func (t *tracker) announce(d *node, now time.Duration) []int32 {
	t.count(now)
	peers := []int32{t.seed}
	switch {
	case d.mirror:
		peers = t.draw(peers, t.all, min(mirrorPeers, t.numwant-1), func(i int32) bool { return i != d.index })
	case t.nearby || t.near == 0 && t.far == 0:
		peers = t.draw(peers, t.all, t.numwant-1, func(i int32) bool { return i != d.index })
	default:
		rack := t.perRack[d.rack]
		peers = t.draw(peers, rack, min(t.near, t.numwant-1), func(i int32) bool { return i != d.index })
		racks := int32(len(t.perRack))
		peers = t.draw(peers, t.all, min(t.far, t.numwant-len(peers)), func(i int32) bool { return (i-1)%racks != d.rack })
		// The order is that in which a node dials: a few far ones must not come last.
		t.rand.Shuffle(len(peers)-1, func(i, j int) { peers[1+i], peers[1+j] = peers[1+j], peers[1+i] })
	}
	if d.announced == 1 {
		t.all = append(t.all, d.index)
		t.perRack[d.rack] = append(t.perRack[d.rack], d.index)
	}
	return peers
}

// draw appends up to n of those in the list that are wanted, at random: the first steps of a shuffle in place.
func (t *tracker) draw(peers, list []int32, n int, want func(int32) bool) []int32 {
	for k := 0; k < len(list) && n > 0; k++ {
		i := k + t.rand.IntN(len(list)-k)
		list[k], list[i] = list[i], list[k]
		if want(list[k]) {
			peers = append(peers, list[k])
			n--
		}
	}
	return peers
}

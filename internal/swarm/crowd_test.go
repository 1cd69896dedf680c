package swarm

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// bitfield is what a peer has, as it comes in: a multiple of eight.
func bitfield(pieces ...int) []bool {
	b := make([]bool, 8)
	for _, i := range pieces {
		b[i] = true
	}
	return b
}

// TestCrowdFollowsMessages has three peers say what they have in each way that there is.
func TestCrowdFollowsMessages(t *testing.T) {
	changes := 0
	c := newCrowd(5, func() { changes++ }, anyone)
	var peers [3]*torrent.PeerConn
	for k := range peers {
		peers[k] = new(torrent.PeerConn)
		peers[k].PeerID = torrent.PeerID([]byte(clientID + "............"))
		peers[k].PeerID[19] = byte(k)
		c.add(peers[k], side{seeder: k == 2})
	}
	have := func(i pp.Integer) pp.Message { return pp.Message{Type: pp.Have, Index: i} }
	all := []uint32{0, 1, 2, 3, 4}
	for _, step := range []struct {
		name                string
		peer                int
		message             pp.Message
		news                []uint32
		out                 []int
		rivals              int
		complete, elsewhere bool
	}{
		{"none", 0, pp.Message{Type: pp.HaveNone}, nil, nil, 1, false, false},
		{"a piece", 0, have(3), []uint32{3}, []int{3}, 1, false, false},
		{"the same piece", 0, have(3), nil, []int{3}, 1, false, false},
		{"a piece that there is not", 0, have(5), nil, []int{3}, 1, false, false},
		{"a bitfield with spare bits", 1, pp.Message{Type: pp.Bitfield, Bitfield: bitfield(0, 3)}, []uint32{0}, []int{0, 3}, 2, false, false},
		{"the seeder's all", 2, pp.Message{Type: pp.HaveAll}, nil, []int{0, 3}, 2, true, false},
		{"a bitfield in place of the first", 1, pp.Message{Type: pp.Bitfield, Bitfield: bitfield(1, 2)}, []uint32{1, 2}, []int{1, 2, 3}, 2, true, false},
		{"0", 0, have(0), []uint32{0}, []int{0, 1, 2, 3}, 2, true, false},
		{"1", 0, have(1), nil, []int{0, 1, 2, 3}, 2, true, false},
		{"2", 0, have(2), nil, []int{0, 1, 2, 3}, 2, true, false},
		{"the last: it is complete", 0, have(4), []uint32{4}, []int{1, 2}, 1, true, true},
		{"all of a complete one", 0, pp.Message{Type: pp.HaveAll}, nil, []int{1, 2}, 1, true, true},
		{"a peer that starts anew", 0, pp.Message{Type: pp.HaveNone}, nil, []int{1, 2}, 2, true, false},
		{"all by a bitfield", 1, pp.Message{Type: pp.Bitfield, Bitfield: bitfield(0, 1, 2, 3, 4)}, nil, nil, 1, true, true},
	} {
		before := changes
		c.read(peers[step.peer], &step.message)
		if news := c.takeNews(); !slices.Equal(news, step.news) || len(news) > 0 && changes == before {
			t.Errorf("%s: news %v after %d changes, want %v", step.name, news, changes-before, step.news)
		}
		var out []int
		for _, i := range all {
			if c.has(int(i)) {
				out = append(out, int(i))
			}
		}
		if !slices.Equal(out, step.out) || len(c.look().Rivals) != step.rivals || c.hasComplete() != step.complete || c.elsewhere() != step.elsewhere {
			t.Errorf("%s: %v are out, %d rivals, complete: %t, elsewhere: %t; want %v, %d, %t, %t", step.name, out, len(c.look().Rivals),
				c.hasComplete(), c.elsewhere(), step.out, step.rivals, step.complete, step.elsewhere)
		}
	}
	missing := func(i int) bool { return i == 4 }
	if c.lacks(missing) {
		t.Error("piece 4 is lacking, and two peers have all")
	}
	for _, pc := range peers[1:] {
		c.remove(pc)
	}
	c.read(peers[0], &pp.Message{Type: pp.Bitfield, Bitfield: bitfield(0, 1)})
	if !c.lacks(missing) || c.lacks(func(i int) bool { return i == 1 }) || !slices.Equal(c.look().Rivals, []pick.ID{peers[0].PeerID}) {
		t.Errorf("only the first peer is left, with pieces 0 and 1; rivals %v", c.look().Rivals)
	}
}

// TestWindowGoesByBlocks has the blocks of two pieces come in.
func TestWindowGoesByBlocks(t *testing.T) {
	var w window
	w.add(3, 30)
	w.add(7, 20)
	if w.received(3, 10) || w.received(5, 10) || w.left.Load() != 40 || w.arrived(3) || w.arrived(5) {
		t.Errorf("%d bytes are left after the first block of piece 3, want 40", w.left.Load())
	}
	if !w.received(3, 20) || !w.arrived(3) || w.left.Load() != 20 {
		t.Errorf("%d bytes are left after piece 3, want 20", w.left.Load())
	}
	if w.received(3, 10) || w.left.Load() != 20 {
		t.Errorf("a block that came twice changed what is left to %d", w.left.Load())
	}
	w.drop(func(i int) bool { return i == 7 })
	if w.left.Load() != 0 || w.arrived(7) || !w.arrived(3) {
		t.Errorf("%d bytes are left without piece 7, want 0", w.left.Load())
	}
	w.add(3, 30)
	if w.left.Load() != 30 {
		t.Errorf("%d bytes are left of a piece that is preferred anew, want 30", w.left.Load())
	}
}

// anyone is a rival.
func anyone(netip.Addr) bool { return true }

// TestCrowdOfMirror has a seeder that is fetching itself: what it has is not out, and what it lacks is awaited.
func TestCrowdOfMirror(t *testing.T) {
	c := newCrowd(3, func() {}, anyone)
	mirror, node := new(torrent.PeerConn), new(torrent.PeerConn)
	mirror.PeerID = torrent.PeerID([]byte(clientID + "............"))
	c.add(mirror, side{seeder: true})
	awaited := func() (all []int) {
		for i := range c.out {
			if c.awaited(i) {
				all = append(all, i)
			}
		}
		return all
	}
	check := func(what string, want ...int) {
		t.Helper()
		if got := awaited(); !slices.Equal(got, want) {
			t.Errorf("%s: %v are awaited, want %v", what, got, want)
		}
	}
	check("it has said nothing yet")
	c.read(mirror, &pp.Message{Type: pp.HaveNone})
	check("it has nothing", 0, 1, 2)
	c.read(mirror, &pp.Message{Type: pp.Have, Index: 1})
	check("it has a piece", 0, 2)
	if c.has(1) || len(c.takeNews()) > 0 || len(c.look().Rivals) > 0 {
		t.Error("a seeder's piece counts as out, or the seeder as one that divides them")
	}
	if c.lacks(func(i int) bool { return i == 1 }) || !c.lacks(func(i int) bool { return i == 2 }) {
		t.Error("piece 1 is to be had and 2 is not")
	}
	c.add(node, side{seeder: true, far: true})
	c.read(node, &pp.Message{Type: pp.HaveAll})
	check("a seeder with all of it is connected")
	c.remove(node)
	check("it has left", 0, 2)
	c.setSide(mirror, side{})
	check("it is a node")
	if !c.has(1) || !slices.Equal(c.takeNews(), []uint32{1}) || len(c.look().Rivals) != 1 {
		t.Error("a node's piece is not out")
	}
	c.setSide(mirror, side{seeder: true})
	c.read(mirror, &pp.Message{Type: pp.Have, Index: 0})
	c.read(mirror, &pp.Message{Type: pp.Have, Index: 2})
	check("it has everything")
	if c.has(1) || c.elsewhere() || !c.hasComplete() || !c.nearLack(func(i int) bool { return i == 0 }) {
		t.Error("a complete seeder counts as one of the nodes")
	}
}

// TestNews has a piece be news until three nodes have it, complete ones among them.
func TestNews(t *testing.T) {
	h := catalog.InfoHash{1}
	f := &entry{crowd: newCrowd(3, func() {}, nil), store: &store{pieces: make([]piece, 3)}}
	e := &Engine{torrents: map[catalog.InfoHash]*entry{h: f}}
	f.crowd.out[1].Store(fewHolders - 1)
	f.crowd.out[2].Store(fewHolders)
	check := func(h catalog.InfoHash, piece int, want bool) {
		t.Helper()
		if got := e.news(h, piece); got != want {
			t.Errorf("piece %d of %s is news: %t, want %t", piece, h, got, want)
		}
	}
	check(h, 0, true)
	check(h, 1, true)
	check(h, 2, false)
	check(h, 3, true) // there is none
	check(catalog.InfoHash{2}, 2, true)
	f.crowd.everywhere.Store(1)
	check(h, 0, true)
	check(h, 1, false)
}

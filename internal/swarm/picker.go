package swarm

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// The picker decides which pieces a node asks for first.
//
// When a whole room starts at once, the seeder's uplink is the bottleneck, and every piece it sends twice is time lost
// for everybody. Left alone, the library orders pieces by availability and then by index, so that all nodes ask the
// seeder for the same ones: 8 nodes had it send 2.3 copies. The picker divides the pieces among the nodes without a
// word between them: by rendezvous hashing (highest random weight) every node computes for each piece which of the
// nodes it sees would rank first, and prefers those where that is itself. Only pieces that no other node has are
// preferred; for the rest the library's own order does, as they come from the other nodes. When a node leaves, its
// share falls to the others by itself. A small window of preferred pieces at a time, together with short request
// queues (queue.go), keeps the seeder busy with pieces that nobody else asks it for: 1.13 copies, measured in the same
// way (64 MiB, links of 30 Mbit/s for all).

// peerID is a BitTorrent peer ID (BEP 20): what a node's weight is computed from. It is better than the address, as a
// node does not know which address others see it under, and each connection begins with it.
type peerID = [20]byte

// board is what the picker sees of a torrent, and what it can do.
type board interface {
	// Pieces is the number of pieces.
	Pieces() int
	// Missing reports whether piece i is not here.
	Missing(i int) bool
	// Crowd lists the connected peers that have not all pieces either.
	Crowd() []member
	// Prefer has piece i asked for before others.
	Prefer(i int)
}

// member is an incomplete peer.
type member struct {
	id peerID
	// shares says that the peer divides the pieces by the same rule.
	shares bool
	// has reports whether it has piece i.
	has func(i int) bool
}

// picker keeps a window of preferred pieces on a board.
type picker struct {
	self      peerID
	board     board
	preferred map[int]bool
	// order holds all pieces, best first, for the rivals it was made for.
	order  []int
	rivals []uint64
}

func newPicker(self peerID, b board) *picker {
	return &picker{self: self, board: b, preferred: map[int]bool{}}
}

// refill drops pieces that have arrived from the window and fills it up to the given number of pieces. It is called
// whenever a piece was completed, and now and then because peers come and go.
func (p *picker) refill(window int) {
	for i := range p.preferred {
		if !p.board.Missing(i) {
			delete(p.preferred, i)
		}
	}
	if len(p.preferred) >= window {
		return
	}
	for _, i := range p.choose(window-len(p.preferred), p.preferred) {
		p.preferred[i] = true
		p.board.Prefer(i)
	}
}

// choose returns up to n missing pieces that no member of the crowd has and that are not in skip, in the picker's order.
func (p *picker) choose(n int, skip map[int]bool) []int {
	crowd := p.board.Crowd()
	p.sort(crowd)
	var pieces []int
	for _, i := range p.order {
		if len(pieces) == n {
			break
		}
		if !skip[i] && p.board.Missing(i) && !slices.ContainsFunc(crowd, func(m member) bool { return m.has(i) }) {
			pieces = append(pieces, i)
		}
	}
	return pieces
}

// sort puts the pieces in order: first those whose weight is highest here, then the others' shares, both by descending
// weight. So even nodes which don't see each other yet begin at different pieces, and most likely at such as turn out
// to be in their share. The order holds until the crowd changes.
func (p *picker) sort(crowd []member) {
	var rivals []uint64
	for _, m := range crowd {
		if m.shares {
			rivals = append(rivals, seed(m.id))
		}
	}
	slices.Sort(rivals)
	if p.order != nil && slices.Equal(rivals, p.rivals) {
		return
	}
	self := seed(p.self)
	weights, mine := make([]uint64, p.board.Pieces()), make([]bool, p.board.Pieces())
	p.order, p.rivals = make([]int, p.board.Pieces()), rivals
	for i := range p.order {
		w := weight(self, i)
		p.order[i], weights[i] = i, w
		mine[i] = !slices.ContainsFunc(rivals, func(r uint64) bool { return weight(r, i) > w })
	}
	slices.SortFunc(p.order, func(a, b int) int {
		switch {
		case mine[a] == mine[b]:
			return cmp.Compare(weights[b], weights[a])
		case mine[a]:
			return -1
		default:
			return 1
		}
	})
}

// seed reduces the random part of a peer ID to 64 bits; the first 8 bytes name the client and are the same everywhere.
func seed(id peerID) uint64 {
	return mix(mix(binary.BigEndian.Uint64(id[8:16])) ^ binary.BigEndian.Uint64(id[12:20]))
}

// weight is the rank of a node, given by its seed, for piece i.
func weight(seed uint64, i int) uint64 {
	return mix(seed + uint64(i)*0x9e3779b97f4a7c15)
}

// mix is the finalizer of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

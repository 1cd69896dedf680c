package pick

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// ID is a BitTorrent peer ID (BEP 20): what a node's weight is computed from. It is better than the address, as a node
// does not know which address others see it under, and each connection begins with it.
type ID = [20]byte

// Board is what a picker sees of a torrent, and what it can do there.
type Board interface {
	// Pieces is the number of pieces.
	Pieces() int
	// Missing reports whether piece i is not here.
	Missing(i int) bool
	// Crowd lists the connected peers that have not all pieces either.
	Crowd() []Member
	// Prefer has piece i asked for before others.
	Prefer(i int)
}

// Member is an incomplete peer.
type Member struct {
	ID ID
	// Shares says that the peer divides the pieces by the same rule.
	Shares bool
	// Has reports whether it has piece i.
	Has func(i int) bool
}

// Picker keeps a window of preferred pieces on a board. Its methods are for one goroutine at a time.
type Picker struct {
	self      ID
	board     Board
	preferred map[int]bool
	// order holds all pieces, best first, for the rivals it was made for.
	order  []int
	rivals []uint64
}

// New returns the picker of the node with the given peer ID. Nothing is preferred before Refill.
func New(self ID, b Board) *Picker {
	return &Picker{self: self, board: b, preferred: map[int]bool{}}
}

// Refill drops pieces that have arrived from the window and fills it up to the given number of pieces. It is called
// whenever a piece was completed, and now and then because peers come and go.
func (p *Picker) Refill(window int) {
	for i := range p.preferred {
		if !p.board.Missing(i) {
			delete(p.preferred, i)
		}
	}
	if len(p.preferred) >= window {
		return
	}
	for _, i := range p.Choose(window-len(p.preferred), p.preferred) {
		p.preferred[i] = true
		p.board.Prefer(i)
	}
}

// Choose returns up to n missing pieces that no member of the crowd has and that are not in skip, in the picker's order.
func (p *Picker) Choose(n int, skip map[int]bool) []int {
	crowd := p.board.Crowd()
	p.sort(crowd)
	var pieces []int
	for _, i := range p.order {
		if len(pieces) == n {
			break
		}
		if !skip[i] && p.board.Missing(i) && !slices.ContainsFunc(crowd, func(m Member) bool { return m.Has(i) }) {
			pieces = append(pieces, i)
		}
	}
	return pieces
}

// sort puts the pieces in order: first those whose weight is highest here, then the others' shares, both by descending
// weight. So even nodes which don't see each other yet begin at different pieces, and most likely at such as turn out
// to be in their share. The order holds until the crowd changes.
func (p *Picker) sort(crowd []Member) {
	var rivals []uint64
	for _, m := range crowd {
		if m.Shares {
			rivals = append(rivals, seed(m.ID))
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
func seed(id ID) uint64 {
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

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
	// Crowd is who is connected and has not all pieces either.
	Crowd() Crowd
	// Prefer has piece i asked for before others.
	Prefer(i int)
}

// Crowd is the connected incomplete peers.
type Crowd struct {
	// Rivals are those that divide the pieces by the same rule.
	Rivals []ID
	// Has reports whether any of the crowd, rival or not, has piece i.
	Has func(i int) bool
}

// Picker keeps a window of preferred pieces on a board. Its methods are for one goroutine at a time.
type Picker struct {
	// Impatient takes also what others seem to be at: nothing has come of it for too long.
	Impatient bool

	self      uint64
	board     Board
	preferred map[int]bool
	// ranked holds all pieces by descending weight here.
	ranked []int
	// rivals are the seeds of those the shares were divided with, sorted; above is how many of them have a higher weight
	// for a piece than this node. Peers come and go one by one, and each changes the count by at most one, which is
	// less work than to compare with all of them again.
	rivals []uint64
	above  []int32
}

// New returns the picker of the node with the given peer ID. Nothing is preferred before Refill.
func New(self ID, b Board) *Picker {
	p := &Picker{self: seed(self), board: b, preferred: map[int]bool{}, above: make([]int32, b.Pieces())}
	weights := make([]uint64, b.Pieces())
	p.ranked = make([]int, b.Pieces())
	for i := range weights {
		p.ranked[i], weights[i] = i, weight(p.self, i)
	}
	slices.SortFunc(p.ranked, func(a, b int) int { return cmp.Compare(weights[b], weights[a]) })
	return p
}

// Refill drops pieces from the window that have arrived, or that somebody else has got meanwhile and need not come from the
// seeder, and fills it up to the given number of pieces. It is called whenever a piece was completed, and now and then
// because peers come and go.
//
// It returns the pieces to hold: others are fetching them from the seeder right now, and there is nothing left to prefer
// but them. A node that asked for them as well would have the seeder send them twice, and their owners would get them
// later. They are not to be asked for at all until another call doesn't return them: because somebody has them, because the
// crowd has changed, or because Impatient is set.
func (p *Picker) Refill(window int) (hold []int) {
	crowd := p.board.Crowd()
	for i := range p.preferred {
		if !p.board.Missing(i) || crowd.Has(i) {
			delete(p.preferred, i)
		}
	}
	if len(p.preferred) >= window {
		return nil
	}
	free, busy := p.choose(crowd, window-len(p.preferred), p.preferred)
	if p.Impatient {
		free, busy = append(free, busy...), nil
	}
	for _, i := range free[:min(len(free), window-len(p.preferred))] {
		p.preferred[i] = true
		p.board.Prefer(i)
	}
	return busy
}

// Preferred is the number of pieces in the window.
func (p *Picker) Preferred() int { return len(p.preferred) }

// Choose returns up to n missing pieces that nobody in the crowd has and that are not in skip: first those whose weight
// is highest here, by descending weight, then others' ([Picker.steal]). So even nodes which don't see each other yet begin
// at different pieces, and most likely at such as turn out to be in their share. Last come those that others are at.
func (p *Picker) Choose(n int, skip map[int]bool) []int {
	free, busy := p.choose(p.board.Crowd(), n, skip)
	free = append(free, busy...)
	return free[:min(n, len(free))]
}

// choose is Choose, with the pieces apart that others are at; these only if there are fewer than n others.
func (p *Picker) choose(crowd Crowd, n int, skip map[int]bool) (free, busy []int) {
	p.divide(crowd.Rivals)
	var others []int
	for _, i := range p.ranked {
		if len(free) >= n {
			return free, nil
		}
		if skip[i] || !p.board.Missing(i) || crowd.Has(i) {
			continue
		}
		if p.above[i] == 0 {
			free = append(free, i)
		} else {
			others = append(others, i)
		}
	}
	stolen, busy := p.steal(others)
	free = append(free, stolen...)
	if len(free) >= n {
		return free[:n], nil
	}
	return free, busy
}

// ownersNext is how many of the pieces left in an owner's share are its own business: its window, and as many as it comes to
// while another fetches a window.
const ownersNext = 2 * minWindow

// steal sorts pieces in other nodes' shares, best first, for a node whose own share is done. Shares are not of equal size, so
// that the first is done when the largest is hardly half done. What its owner fetches meanwhile the seeder sends twice:
// so a node first takes those for which it is the second by weight (no other node that is done takes them), and of these
// the one which its owner will come to last. Those that owners have in their windows now, or will have before a thief could
// be done, are busy.
func (p *Picker) steal(pieces []int) (free, busy []int) {
	type prize struct {
		piece       int
		owner, rank uint64 // the owner's seed, and its weight for the piece
	}
	prizes := make([]prize, len(pieces))
	for k, i := range pieces {
		prizes[k].piece = i
		for _, r := range p.rivals {
			if w := weight(r, i); w >= prizes[k].rank {
				prizes[k].owner, prizes[k].rank = r, w
			}
		}
	}
	slices.SortFunc(prizes, func(a, b prize) int { return cmp.Compare(b.rank, a.rank) })
	ahead := map[uint64]int{}
	prizes = slices.DeleteFunc(prizes, func(z prize) bool {
		ahead[z.owner]++
		if ahead[z.owner] > ownersNext {
			return false
		}
		busy = append(busy, z.piece)
		return true
	})
	slices.SortFunc(prizes, func(a, b prize) int {
		return cmp.Or(cmp.Compare(p.above[a.piece], p.above[b.piece]), cmp.Compare(a.rank, b.rank))
	})
	for _, z := range prizes {
		free = append(free, z.piece)
	}
	return free, busy
}

// divide brings the shares up to date with who is there.
func (p *Picker) divide(ids []ID) {
	now := make([]uint64, len(ids))
	for k, id := range ids {
		now[k] = seed(id)
	}
	slices.Sort(now)
	old := p.rivals
	p.rivals = now
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(now) == 0 || len(old) > 0 && old[0] < now[0]:
			p.count(old[0], -1)
			old = old[1:]
		case len(old) == 0 || now[0] < old[0]:
			p.count(now[0], 1)
			now = now[1:]
		default:
			old, now = old[1:], now[1:]
		}
	}
}

// count adds n to above where the rival's weight is higher.
func (p *Picker) count(rival uint64, n int32) {
	for i := range p.above {
		if weight(rival, i) > weight(p.self, i) {
			p.above[i] += n
		}
	}
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

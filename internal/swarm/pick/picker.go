package pick

import (
	"cmp"
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
	// ChooseHeld takes also what others seem to be at: nothing has come of it for too long.
	ChooseHeld bool
	// Narrow has shares divided from the pieces that were left the last time, instead of from all. A piece that comes to be missing again is
	// then seen only when Narrow is unset or the rivals have changed. Of 16 nodes on fast links, going through all of 2048 pieces whenever
	// one came was a tenth of what they cost.
	Narrow bool

	self      uint64
	board     Board
	preferred map[int]bool
	// ranked holds all pieces by descending weight here, left those that were left at the last division, or more.
	ranked, left []int
	// met are those the pieces were divided with, rivals their seeds, sorted; share is what fell to this node, by descending weight
	// here, from the first piece on that is still wanted. It is divided anew when the crowd has changed or the share is done.
	met    []ID
	rivals []uint64
	share  []int
}

// New returns the picker of the node with the given peer ID. Nothing is preferred before Refill.
func New(self ID, b Board) *Picker {
	p := &Picker{self: seed(self), board: b, preferred: map[int]bool{}}
	weights := make([]uint64, b.Pieces())
	p.ranked = make([]int, b.Pieces())
	for i := range weights {
		p.ranked[i], weights[i] = i, weight(p.self, i)
	}
	slices.SortFunc(p.ranked, func(a, b int) int { return cmp.Compare(weights[b], weights[a]) })
	p.left = slices.Clone(p.ranked)
	return p
}

// Refill drops pieces from the window that have arrived, or that somebody else has got meanwhile and need not come from the
// seeder, and fills it up to the given number of pieces. It is called whenever a piece was completed, and now and then
// because peers come and go.
//
// It returns the pieces to hold: they are in others' shares, and there is nothing left to prefer but them. A node that asked
// for them as well would have the seeder send them twice, and their owners would get them later. They are not to be asked
// for at all until another call doesn't return them: because somebody has them, because the crowd has changed, or because
// ChooseHeld is set.
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
	own, others := p.choose(crowd, window-len(p.preferred), p.preferred)
	if p.ChooseHeld {
		own, others = append(own, others...), nil
	}
	for _, i := range own[:min(len(own), window-len(p.preferred))] {
		p.preferred[i] = true
		p.board.Prefer(i)
	}
	return others
}

// Choose returns up to n missing pieces that nobody in the crowd has and that are not in skip: first those in the node's own
// share, by descending weight, then others'. So even nodes which don't see each other yet begin at different pieces, and
// most likely at such as turn out to be in their share.
func (p *Picker) Choose(n int, skip map[int]bool) []int {
	own, others := p.choose(p.board.Crowd(), n, skip)
	all := append(own, others...)
	return all[:min(n, len(all))]
}

// choose returns up to n pieces of the own share, and if there are fewer, all that are in others'.
func (p *Picker) choose(crowd Crowd, n int, skip map[int]bool) (own, others []int) {
	left := func(i int) bool { return p.board.Missing(i) && !crowd.Has(i) }
	wanted := func(i int) bool { return !skip[i] && left(i) }
	changed := p.meet(crowd.Rivals)
	if !changed {
		for len(p.share) > 0 && !left(p.share[0]) {
			p.share = p.share[1:]
		}
		if own = first(n, p.share, wanted); len(own) == n {
			return own, nil
		}
	}
	if changed || !p.Narrow {
		p.left = append(p.left[:0], p.ranked...)
	}
	p.left = slices.DeleteFunc(p.left, func(i int) bool { return !left(i) })
	var rest []int
	p.share, rest = divide(p.left, p.self, p.rivals)
	if own = first(n, p.share, wanted); len(own) == n {
		return own, nil
	}
	return own, first(len(rest), rest, wanted)
}

// first returns the first n pieces that are wanted.
func first(n int, pieces []int, wanted func(int) bool) (found []int) {
	for _, i := range pieces {
		if len(found) == n {
			break
		}
		if wanted(i) {
			found = append(found, i)
		}
	}
	return found
}

// meet takes up who the rivals are now, and reports whether others were before.
func (p *Picker) meet(ids []ID) bool {
	if slices.Equal(ids, p.met) {
		return false
	}
	p.met = slices.Clone(ids)
	now := make([]uint64, len(ids))
	for k, id := range ids {
		now[k] = seed(id)
	}
	slices.Sort(now)
	changed := !slices.Equal(now, p.rivals)
	p.rivals = now
	return changed
}

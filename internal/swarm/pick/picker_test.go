package pick

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// fakeBoard is a node's view of a torrent without a network.
type fakeBoard struct {
	here      []bool
	crowd     []member
	preferred []int
}

func newFakeBoard(pieces int) *fakeBoard { return &fakeBoard{here: make([]bool, pieces)} }

func (b *fakeBoard) Pieces() int        { return len(b.here) }
func (b *fakeBoard) Missing(i int) bool { return !b.here[i] }
func (b *fakeBoard) Prefer(i int)       { b.preferred = append(b.preferred, i) }

// member is an incomplete peer.
type member struct {
	id     ID
	shares bool
	pieces []int
}

func (b *fakeBoard) Crowd() Crowd {
	c := Crowd{Has: func(i int) bool {
		return slices.ContainsFunc(b.crowd, func(m member) bool { return slices.Contains(m.pieces, i) })
	}}
	for _, m := range b.crowd {
		if m.shares {
			c.Rivals = append(c.Rivals, m.id)
		}
	}
	return c
}

func id(n byte) ID {
	p := ID([]byte("-BN0100-............"))
	p[19] = n
	return p
}

// with returns a member that has the given pieces.
func with(n byte, shares bool, pieces ...int) member {
	return member{id(n), shares, pieces}
}

// order has the picker choose all pieces.
func order(self byte, b *fakeBoard) []int {
	return New(id(self), b).Choose(b.Pieces(), nil)
}

func TestPickerKeepsWindow(t *testing.T) {
	b := newFakeBoard(10)
	p := New(id(1), b)
	p.Refill(2)
	p.Refill(2)
	if len(b.preferred) != 2 {
		t.Fatalf("preferred %v, want 2 pieces", b.preferred)
	}
	b.here[b.preferred[0]] = true
	p.Refill(2)
	if len(b.preferred) != 3 || b.preferred[2] == b.preferred[0] || b.preferred[2] == b.preferred[1] {
		t.Fatalf("preferred %v, want one more after a piece arrived", b.preferred)
	}
	p.Refill(4)
	if len(b.preferred) != 5 {
		t.Fatalf("preferred %v, want two more in a wider window", b.preferred)
	}
	for i := range b.here {
		b.here[i] = true
	}
	p.Refill(4)
	if len(b.preferred) != 5 || len(p.preferred) != 0 {
		t.Errorf("preferred %v, window %v, want nothing more at the end", b.preferred, p.preferred)
	}
}

func TestPickerLeavesWhatOthersHave(t *testing.T) {
	b := newFakeBoard(4)
	b.here[0] = true
	b.crowd = []member{with(2, true, 1), with(3, false, 2)}
	if got := order(1, b); !slices.Equal(got, []int{3}) {
		t.Errorf("chose %v, want only piece 3, which nobody has", got)
	}
}

// TestPickerDivides has nodes which see each other each take its share first: together all pieces, none twice.
func TestPickerDivides(t *testing.T) {
	const nodes, pieces = 8, 1000
	taken := make([]int, pieces)
	for self := byte(0); self < nodes; self++ {
		b := newFakeBoard(pieces)
		share := pieces
		for other := byte(0); other < nodes; other++ {
			if other != self {
				b.crowd = append(b.crowd, with(other, true))
			}
		}
		share = 0
		all := order(self, b)
		if len(all) != pieces {
			t.Fatalf("node %d chose %d of %d pieces", self, len(all), pieces)
		}
		for _, i := range all {
			if owner(i, nodes) != self {
				break
			}
			taken[i]++
			share++
		}
		if share < pieces/nodes*2/3 || share > pieces/nodes*4/3 {
			t.Errorf("node %d has a share of %d, want about %d", self, share, pieces/nodes)
		}
	}
	for i, n := range taken {
		if n != 1 {
			t.Errorf("piece %d is in %d shares", i, n)
		}
	}
}

// owner computes rendezvous hashing the simple way.
func owner(i int, nodes byte) (best byte) {
	for n := byte(1); n < nodes; n++ {
		if weight(seed(id(n)), i) > weight(seed(id(best)), i) {
			best = n
		}
	}
	return best
}

// TestPickerStartsApart has nodes that don't see each other yet begin at different pieces.
func TestPickerStartsApart(t *testing.T) {
	first := map[int]bool{}
	for self := byte(0); self < 16; self++ {
		first[order(self, newFakeBoard(1000))[0]] = true
	}
	if len(first) < 15 {
		t.Errorf("16 nodes begin at %d different pieces", len(first))
	}
}

// TestPickerInheritsShares has a node leave: its share moves, all else stays in its owner's hands.
func TestPickerInheritsShares(t *testing.T) {
	const pieces = 300
	b := newFakeBoard(pieces)
	b.crowd = []member{with(0, true), with(2, true)}
	before := order(1, b)
	b.crowd = b.crowd[:1]
	after := order(1, b)
	mine := func(all []int, nodes ...byte) (share []int) {
		for _, i := range all {
			if !slices.ContainsFunc(nodes, func(n byte) bool { return weight(seed(id(n)), i) > weight(seed(id(1)), i) }) {
				share = append(share, i)
			}
		}
		return share
	}
	old, now := mine(before, 0, 2), mine(after, 0)
	if len(now) <= len(old) {
		t.Errorf("the share was %d pieces and is %d after a node left", len(old), len(now))
	}
	for _, i := range old {
		if !slices.Contains(now, i) {
			t.Errorf("piece %d was lost from the share", i)
		}
	}
}

// TestPickerIgnoresForeignRanks has a client which follows another rule not be left a share it will not take.
func TestPickerIgnoresForeignRanks(t *testing.T) {
	b := newFakeBoard(100)
	alone := order(1, b)
	b.crowd = []member{with(2, false)}
	if got := order(1, b); !slices.Equal(got, alone) {
		t.Error("a foreign client changed the order")
	}
}

// TestPickerFollowsTheCrowd has peers come and go at random: the order is that of a picker that never saw another crowd.
func TestPickerFollowsTheCrowd(t *testing.T) {
	b := newFakeBoard(200)
	p := New(id(0), b)
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		b.crowd = nil
		for n := byte(1); n < 20; n++ {
			if r.IntN(2) == 0 {
				b.crowd = append(b.crowd, with(n, r.IntN(4) > 0, int(n)))
			}
		}
		if got, want := p.Choose(200, nil), New(id(0), b).Choose(200, nil); !slices.Equal(got, want) {
			t.Fatalf("chose %v, want %v", got, want)
		}
	}
}

// BenchmarkChoose is a picker at work near the end of a large image, when all pieces are out: what each piece costs that
// arrives, with a peer leaving or coming at every other.
func BenchmarkChoose(b *testing.B) {
	for _, rivals := range []int{32, 80, 500} {
		b.Run(fmt.Sprint(rivals), func(b *testing.B) {
			board := lateBoard{crowd: Crowd{Has: func(int) bool { return true }}}
			for n := range rivals {
				board.crowd.Rivals = append(board.crowd.Rivals, ID{8: byte(n >> 8), 9: byte(n)})
			}
			all, p := board.crowd.Rivals, New(ID{19: 1}, &board)
			for n := 0; b.Loop(); n++ {
				board.crowd.Rivals = all[n/2%2:]
				p.Choose(1, nil)
			}
		})
	}
}

// lateBoard misses everything, and the crowd has it.
type lateBoard struct{ crowd Crowd }

func (*lateBoard) Pieces() int      { return 4096 }
func (*lateBoard) Missing(int) bool { return true }
func (*lateBoard) Prefer(int)       {}
func (b *lateBoard) Crowd() Crowd   { return b.crowd }

// TestPickersFetchOnce has a room fetch everything from the seeder, one piece at a time. Only what nodes whose share is done
// take of the others' can be fetched twice.
func TestPickersFetchOnce(t *testing.T) {
	for _, c := range []struct {
		nodes, pieces int
		most          float64 // copies of all
	}{{4, 256, 1.01}, {8, 256, 1.02}, {16, 256, 1.04}, {16, 1024, 1.01}} {
		if copies := fetchAll(c.nodes, c.pieces); copies > c.most {
			t.Errorf("%d nodes fetched %.3f copies of %d pieces, want at most %.2f", c.nodes, copies, c.pieces, c.most)
		}
	}
}

// fetchAll runs rounds in which every node takes a piece from the seeder, which is everybody's afterwards, until no piece is
// missing. It returns how many copies were taken.
func fetchAll(nodes, pieces int) (copies float64) {
	boards, pickers := make([]*fakeBoard, nodes), make([]*Picker, nodes)
	for n := range boards {
		boards[n] = newFakeBoard(pieces)
		for other := range nodes {
			if other != n {
				boards[n].crowd = append(boards[n].crowd, with(byte(other), true))
			}
		}
		pickers[n] = New(id(byte(n)), boards[n])
	}
	taken := 0
	for left := pieces; left > 0; {
		var chosen []int
		for n, p := range pickers {
			boards[n].preferred = nil
			p.Refill(1)
			chosen = append(chosen, boards[n].preferred...)
		}
		taken += len(chosen)
		for _, i := range chosen {
			if !boards[0].here[i] {
				left--
			}
			for _, b := range boards {
				b.here[i] = true
			}
		}
	}
	return float64(taken) / float64(pieces)
}

// TestPickerTakesWhatOwnersDoLast has a node whose share is done take pieces of which it is the second by weight, from the
// end of their owners' orders, and what the owners are at now only in the end.
func TestPickerTakesWhatOwnersDoLast(t *testing.T) {
	b := newFakeBoard(200)
	b.crowd = []member{with(0, true), with(2, true)}
	for i := range b.here {
		b.here[i] = owner(i, 3) == 1
	}
	p := New(id(1), b)
	all := p.Choose(200, nil)
	busy := all[len(all)-2*ownersNext:] // which the two owners have in their windows, or soon will
	for _, i := range busy {
		ahead := 0
		for _, j := range all {
			if o := owner(i, 3); owner(j, 3) == o && weight(seed(id(o)), j) > weight(seed(id(o)), i) {
				ahead++
			}
		}
		if ahead >= ownersNext {
			t.Errorf("piece %d comes at the end, and %d others come to its owner's turn before", i, ahead)
		}
	}
	all = all[:len(all)-len(busy)]
	second := 0
	for second < len(all) && p.above[all[second]] == 1 {
		second++
	}
	if second == 0 || second == len(all) || slices.ContainsFunc(all[second:], func(i int) bool { return p.above[i] == 1 }) {
		t.Fatalf("%d of %d pieces of which it is the second come first", second, len(all))
	}
	for k := 1; k < second; k++ {
		before, after := all[k-1], all[k]
		if weight(seed(id(owner(before, 3))), before) > weight(seed(id(owner(after, 3))), after) {
			t.Errorf("piece %d comes before %d, though its owner comes to it earlier", before, after)
		}
	}
}

// TestPickerHoldsWhatOwnersAreAt has nothing left but what is in the windows of two others: it is left to them, unless
// they are too slow, and until they are gone.
func TestPickerHoldsWhatOwnersAreAt(t *testing.T) {
	b := newFakeBoard(200)
	b.crowd = []member{with(0, true), with(2, true)}
	left := map[byte]int{}
	var want []int
	for i := range b.here {
		o := owner(i, 3)
		b.here[i] = o == 1 || left[o] == ownersNext
		if !b.here[i] {
			left[o]++
			want = append(want, i)
		}
	}
	p := New(id(1), b)
	hold := p.Refill(2)
	slices.Sort(hold)
	if !slices.Equal(hold, want) || len(b.preferred) > 0 {
		t.Errorf("holds %v, prefers %v; want %v held", hold, b.preferred, want)
	}
	p.Impatient = true
	if hold := p.Refill(2); len(hold) > 0 || len(b.preferred) != 2 {
		t.Errorf("impatient it holds %v and prefers %v", hold, b.preferred)
	}
	p, b.preferred, b.crowd = New(id(1), b), nil, nil
	if hold := p.Refill(2); len(hold) > 0 || len(b.preferred) != 2 {
		t.Errorf("alone it holds %v and prefers %v", hold, b.preferred)
	}
}

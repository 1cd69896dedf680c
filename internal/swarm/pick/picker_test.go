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

// A narrow choice goes through what was left, whoever comes; a piece that is to be had from nobody any more is seen by the next wide one, and
// at once if a rival has left with it.
func TestNarrowChoice(t *testing.T) {
	b := newFakeBoard(4)
	stranger := with(2, false, 1)
	b.crowd = []member{stranger, with(3, true, 2)}
	p := New(id(1), b)
	p.Narrow = true
	choose := func(want ...int) {
		t.Helper()
		got := p.Choose(4, nil)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("chose %v, want %v", got, want)
		}
	}
	choose(0, 3)
	b.here[3] = true
	choose(0)
	b.crowd = b.crowd[1:]
	choose(0)
	p.Narrow = false
	choose(0, 1)
	p.Narrow = true
	b.crowd = nil
	choose(0, 1, 2)
}

// TestPickerDivides has nodes which see each other each take its share first: together all pieces, none twice, each as many.
func TestPickerDivides(t *testing.T) {
	const nodes, pieces = 8, 1000
	taken := make([]int, pieces)
	for self := byte(0); self < nodes; self++ {
		b := newFakeBoard(pieces)
		b.crowd = room(nodes, self)
		all := order(self, b)
		if len(all) != pieces {
			t.Fatalf("node %d chose %d of %d pieces", self, len(all), pieces)
		}
		for _, i := range all[:pieces/nodes] {
			taken[i]++
		}
	}
	for i, n := range taken {
		if n != 1 {
			t.Errorf("piece %d is in %d shares", i, n)
		}
	}
}

// room returns the members that node self of so many sees, all without pieces.
func room(nodes, self byte) (crowd []member) {
	for n := range nodes {
		if n != self {
			crowd = append(crowd, with(n, true))
		}
	}
	return crowd
}

// share is what falls to a node, by descending weight.
func share(self byte, b *fakeBoard) []int {
	p := New(id(self), b)
	p.Choose(1, nil)
	return p.share
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

// TestPickerInheritsShares has a node leave: the others take over its share, and go on with what they are at.
func TestPickerInheritsShares(t *testing.T) {
	const pieces, at = 300, 20
	b := newFakeBoard(pieces)
	b.crowd = room(3, 1)
	before := share(1, b)
	b.crowd = b.crowd[:1]
	after := share(1, b)
	if len(before) != pieces/3 || len(after) != pieces/2 {
		t.Errorf("the share was %d of %d pieces and is %d after a node left", len(before), pieces, len(after))
	}
	for _, i := range before[:at] {
		if !slices.Contains(after, i) {
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

// BenchmarkDivide is a peer leaving or coming while all pieces of a large image are out.
func BenchmarkDivide(b *testing.B) {
	for _, rivals := range []int{8, 32, 80} {
		b.Run(fmt.Sprint(rivals), func(b *testing.B) {
			board := newFakeBoard(2048)
			board.crowd = room(byte(rivals), 255)
			all, p := board.crowd, New(id(255), board)
			for n := 0; b.Loop(); n++ {
				board.crowd = all[n%2:]
				p.Choose(1, nil)
			}
		})
	}
}

// TestPickersFetchOnce has a room fetch everything from the seeder, one piece at a time. Only what nodes whose share is done
// take of the others' can be fetched twice.
func TestPickersFetchOnce(t *testing.T) {
	for _, c := range []struct {
		nodes, pieces int
		most          float64 // copies of all
	}{{4, 256, 1}, {8, 256, 1}, {16, 256, 1}, {48, 512, 1}} {
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
		boards[n].crowd = room(byte(nodes), byte(n))
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

// TestPickerTakesOver has a fast node whose share is done: what is left is divided anew, in equal parts, and what the others
// begin with stays theirs.
func TestPickerTakesOver(t *testing.T) {
	const pieces = 200
	b := newFakeBoard(pieces)
	b.crowd = room(3, 1)
	others := map[byte][]int{0: share(0, &fakeBoard{here: b.here, crowd: room(3, 0)}), 2: share(2, &fakeBoard{here: b.here, crowd: room(3, 2)})}
	p := New(id(1), b)
	p.Choose(1, nil)
	for _, i := range p.share {
		b.here[i] = true
	}
	left := len(others[0]) + len(others[2])
	p.Choose(1, nil)
	if most := left/3 + 1; len(p.share) > most || len(p.share) < left-2*most {
		t.Errorf("takes over %d of %d pieces, want a third", len(p.share), left)
	}
	for o, all := range others {
		for _, i := range all[:leastShare] {
			if slices.Contains(p.share, i) {
				t.Errorf("takes piece %d, which node %d is at", i, o)
			}
		}
	}
}

// TestPickerHoldsWhatOwnersAreAt has nothing left but the least shares of two others: they are left to them, unless they are
// too slow, and until they are gone.
func TestPickerHoldsWhatOwnersAreAt(t *testing.T) {
	b := newFakeBoard(200)
	b.crowd = room(3, 1)
	var want []int
	for o := byte(0); o < 3; o += 2 {
		want = append(want, share(o, &fakeBoard{here: b.here, crowd: room(3, o)})[:leastShare]...)
	}
	for i := range b.here {
		b.here[i] = !slices.Contains(want, i)
	}
	slices.Sort(want)
	p := New(id(1), b)
	hold := p.Refill(2)
	slices.Sort(hold)
	if !slices.Equal(hold, want) || len(b.preferred) > 0 {
		t.Errorf("holds %v, prefers %v; want %v held", hold, b.preferred, want)
	}
	p.ChooseHeld = true
	if hold := p.Refill(2); len(hold) > 0 || len(b.preferred) != 2 {
		t.Errorf("with ChooseHeld it holds %v and prefers %v", hold, b.preferred)
	}
	p, b.preferred, b.crowd = New(id(1), b), nil, nil
	if hold := p.Refill(2); len(hold) > 0 || len(b.preferred) != 2 {
		t.Errorf("alone it holds %v and prefers %v", hold, b.preferred)
	}
}

// TestPickerHoldsNothingWhenAllIsOut has others have all that is missing.
func TestPickerHoldsNothingWhenAllIsOut(t *testing.T) {
	b := newFakeBoard(4)
	b.crowd = []member{with(0, true, 0, 1, 2, 3)}
	p := New(id(1), b)
	if hold := p.Refill(2); len(hold) > 0 || len(b.preferred) > 0 {
		t.Errorf("holds %v, prefers %v", hold, b.preferred)
	}
}

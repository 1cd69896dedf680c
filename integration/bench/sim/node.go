package sim

import (
	"math/bits"
	"time"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// maxDepth is the most blocks a connection may be asked for at a time: pick's limit, and some more for good measure.
const maxDepth = 256

// node is a node, or the seeder.
type node struct {
	index, rack  int32
	id           pick.ID
	seeder, up   bool
	mirror       bool
	mirrored     *node // the mirror that it is connected to, as long as that has not all
	offered      bool  // only what that has is chosen
	apart        bool  // rivals are only those that have the same seeder
	complete     bool
	started      time.Duration
	finished     time.Duration
	upload       link
	download     link
	limit        int // most connections
	announced    int
	left         int // pieces missing
	dialling     int
	reserve      []int32
	picker       *pick.Picker
	rivals       []pick.ID
	rivalsStale  bool
	pipes        []*pipe // from others to here
	turns        fifo[*pipe]
	sending      bool
	kicked       time.Duration
	blocks       int64 // that came in
	wasted       int64 // of those, that were here already
	deep         [maxDepth]uint16
	told         int // pieces that others know of
	elsewhere    int // complete peers besides the seeder
	hold         []int
	heldAt       time.Duration
	held         set
	timedOut     bool  // what was held did not come out in time
	deepest      int   // no connection has been asked for more blocks than this
	has, known   set   // pieces here, and those that others know of
	want         set   // pieces missing that have blocks not asked for
	partial      set   // pieces missing that have blocks here
	high         set   // pieces that the picker prefers, or has preferred
	window       set   // of those, the ones that are missing and nobody else has
	wanted       int64 // blocks missing of the pieces in window
	open         set   // pieces that others have or have had
	unasked      []uint64
	missing      []uint64
	availability []uint16 // of each piece, among the incomplete peers
}

// pipe is one direction of a connection.
type pipe struct {
	from, to *node
	back     *pipe
	// queue is what was asked for and is not being sent yet, asked is how much was asked for and is not here.
	queue fifo[request]
	asked int
	depth pick.Queue
	// opened is since when, useful when the last block arrived.
	opened, useful time.Duration
	// dialled says that the receiving side made the connection.
	dialled, waiting, closed bool
}

// request is for a block; it is heard when it is ready.
type request struct {
	ready time.Duration
	piece uint16
	block uint8
}

// most is how many blocks to have asked for at a time if so many bytes are to come from the seeder.
func (p *pipe) most(wanted int64) int {
	return p.depth.Depth(pick.Side{Seeder: p.from.seederOf(p.to), Wanted: wanted, Connections: len(p.to.pipes)})
}

func newNode(index int, s *Scenario) *node {
	n := s.pieces()
	d := &node{
		index: int32(index), rack: int32((index - 1) % s.Racks), left: n, limit: s.Conns,
		upload: newLink(s.Link), download: newLink(s.Link), rivalsStale: true,
		has: newSet(n), known: newSet(n), want: newSet(n), partial: newSet(n), high: newSet(n), window: newSet(n), open: newSet(n), held: newSet(n),
		apart:   s.Mirrors && s.Rule != AsPeer,
		unasked: make([]uint64, n), missing: make([]uint64, n), availability: make([]uint16, n),
	}
	for i := range n {
		d.want.add(i)
		d.unasked[i] = ^uint64(0) >> (64 - s.blocks())
		d.missing[i] = d.unasked[i]
	}
	return d
}

// newMirror is that of a rack.
func newMirror(index int, s *Scenario) *node {
	d := newNode(index, s)
	d.mirror, d.rack, d.limit = true, int32(index-1), s.SeederConns
	d.upload, d.download = newLink(s.Mirror), newLink(s.Mirror)
	if s.Kept {
		d.left, d.told = 0, s.pieces()
		d.fillUp(s)
	}
	return d
}

// seederOf reports whether it is what u calls its seeder.
func (d *node) seederOf(u *node) bool { return d.seeder || d.mirror && !u.mirror && d.rack == u.rack }

func newSeeder(s *Scenario) *node {
	d := &node{
		seeder: true, rack: -1, limit: s.SeederConns,
		upload: newLink(s.Seeder), download: newLink(s.Seeder), has: newSet(s.pieces()),
	}
	d.fillUp(s)
	return d
}

// fillUp has d be complete from the start.
func (d *node) fillUp(s *Scenario) {
	d.complete, d.up = true, true
	for i := range s.pieces() {
		d.has.add(i)
	}
	d.known = d.has
}

// Pieces implements pick.Board.
func (d *node) Pieces() int { return len(d.missing) }

// Missing implements pick.Board.
func (d *node) Missing(i int) bool {
	return !d.has.has(i) && (!d.offered || d.mirrored == nil || d.mirrored.known.has(i))
}

// Prefer implements pick.Board.
func (d *node) Prefer(i int) {
	d.high.add(i)
	d.window.add(i)
	d.wanted += int64(bits.OnesCount64(d.missing[i]))
}

// leave takes piece i out of the window.
func (d *node) leave(i int) {
	if d.window.has(i) {
		d.window.remove(i)
		d.wanted -= int64(bits.OnesCount64(d.missing[i]))
	}
}

// Crowd implements pick.Board.
func (d *node) Crowd() pick.Crowd {
	if d.rivalsStale {
		d.rivals, d.rivalsStale = d.rivals[:0], false
		for _, p := range d.pipes {
			if !p.from.complete && (!d.apart || p.from.mirror == d.mirror) {
				d.rivals = append(d.rivals, p.from.id)
			}
		}
	}
	return pick.Crowd{Rivals: d.rivals, Has: func(i int) bool { return d.availability[i] > 0 }}
}

// knownAll reports whether the others know that it has all.
func (d *node) knownAll() bool { return d.seeder || d.complete && d.told == len(d.missing) }

// next is the piece of which the library would ask u for a block first: by priority, pieces that were begun,
// availability and index.
func (d *node) next(u *node) (piece int, ok bool) {
	piece, class, least := -1, 4, uint16(0)
	for w := range d.want {
		all := d.want[w] & u.known[w] & (d.open[w] | d.high[w]) &^ d.held[w]
		if all == 0 {
			continue
		}
		high, partial := all&d.high[w], all&d.partial[w]
		for c, these := range [...]uint64{high & partial, high, partial, all} {
			if these == 0 {
				continue
			}
			if c > class {
				break
			}
			if c < class {
				class, piece = c, -1
			}
			for ; these != 0; these &= these - 1 {
				i := w*64 + bits.TrailingZeros64(these)
				if a := d.availability[i]; piece < 0 || a < least {
					piece, least = i, a
				}
			}
			break
		}
	}
	return piece, piece >= 0
}

// take marks a block of the piece as asked for.
func (d *node) take(piece int) (block uint8) {
	b := bits.TrailingZeros64(d.unasked[piece])
	d.unasked[piece] &^= 1 << b
	if d.unasked[piece] == 0 {
		d.want.remove(piece)
	}
	return uint8(b)
}

// release makes a block one to be asked for again, unless it is here.
func (d *node) release(piece uint16, block uint8) {
	if d.missing[piece]>>block&1 != 0 {
		d.unasked[piece] |= 1 << block
		d.want.add(int(piece))
	}
}

// count changes how much p was asked for.
func (d *node) count(p *pipe, by int) {
	d.deep[min(p.asked, maxDepth-1)]--
	p.asked += by
	d.deep[min(p.asked, maxDepth-1)]++
	d.deepest = max(d.deepest, min(p.asked, maxDepth-1))
	for d.deepest > 0 && d.deep[d.deepest] == 0 {
		d.deepest--
	}
}

// fromPeer returns the pipe from u to here, if they are connected.
func (d *node) fromPeer(u *node) *pipe {
	for _, p := range d.pipes {
		if p.from == u {
			return p
		}
	}
	return nil
}

package swarm

import (
	"context"
	"slices"
	"time"

	"github.com/anacrolix/torrent"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// chooser has the library ask for what a picker chooses: preferred pieces before others. Besides those it lets it ask for pieces
// that others have. The rest, which only the seeder has and others will get there, has no priority, so that it isn't asked for, and
// so that the library doesn't go through it each time that it looks for what to ask a node for.
type chooser struct {
	engine *Engine
	entry  *entry
	picker *pick.Picker
	began  time.Time
	// asked is the priority that each piece has.
	asked []torrent.PiecePriority
	// held is what the picker wants held, since it last changed at heldAt.
	held   []int
	heldAt time.Time
	// turn is entry.reach.turn as it was last.
	turn int32
	// timedOut says that what was held did not come out in time; allOut that a peer besides the seeder has everything, so that no piece
	// is without priority.
	timedOut, allOut bool
}

// refillTime is how often the picker looks at the crowd and at all pieces, as peers come and go without a piece being completed.
const refillTime = 200 * time.Millisecond

func newChooser(e *Engine, f *entry) *chooser {
	c := &chooser{engine: e, entry: f, began: time.Now(), asked: make([]torrent.PiecePriority, len(f.store.pieces))}
	c.picker = pick.New(e.client.PeerID(), chooserBoard{torrentBoard{f}, c})
	return c
}

// chooserBoard is a torrentBoard with pieces missing only until all their blocks have come in, and once a seeder has them.
type chooserBoard struct {
	torrentBoard
	chooser *chooser
}

// Missing implements pick.Board. What a mirror lacks as well can't be asked for yet.
func (b chooserBoard) Missing(i int) bool {
	return b.store.missing(i) && !b.window.arrived(i) && !b.crowd.awaited(i)
}

// Prefer implements pick.Board.
func (b chooserBoard) Prefer(i int) {
	b.window.add(i, b.store.pieces[i].size)
	b.chooser.ask(i, torrent.PiecePriorityHigh)
}

// run keeps the window full until all is here or ctx ends.
func (c *chooser) run(ctx context.Context) {
	ticker := time.NewTicker(refillTime)
	defer ticker.Stop()
	complete := c.entry.torrent.Complete().On()
	for {
		select {
		case <-ctx.Done():
			return
		case <-complete:
			return
		case <-ticker.C:
			c.picker.Narrow = false
		case <-c.entry.store.changed:
			c.picker.Narrow = true
		}
		c.refill(time.Now())
	}
}

func (c *chooser) refill(now time.Time) {
	c.open()
	crowd, store := c.entry.crowd, c.entry.store
	if turn := c.entry.reach.turn.Load(); turn != c.turn {
		c.turn, c.timedOut, c.heldAt = turn, false, now // it was not for other nodes that it took so long
	}
	c.picker.ChooseHeld = c.timedOut
	c.entry.window.drop(func(i int) bool { return !store.missing(i) || crowd.has(i) })
	hold := c.picker.Refill(pick.Window(c.engine.conns.depth(c.entry), c.entry.layout.pieceLength))
	slices.Sort(hold)
	if !slices.Equal(hold, c.held) {
		c.hold(hold)
		c.heldAt = now
	}
	if len(hold) > 0 && now.Sub(c.heldAt) > c.holdTimeout(now) {
		c.timedOut = true // from here on: who was too slow once is not waited for again
	}
}

// open lets the library ask for the pieces that have come out.
func (c *chooser) open() {
	for _, i := range c.entry.crowd.takeNews() {
		if c.asked[i] == torrent.PiecePriorityNone {
			c.ask(int(i), torrent.PiecePriorityNormal)
		}
	}
	if c.allOut == c.entry.crowd.elsewhere() {
		return
	}
	if c.allOut = !c.allOut; !c.allOut {
		return
	}
	for i := range c.asked {
		if c.asked[i] == torrent.PiecePriorityNone {
			c.ask(i, torrent.PiecePriorityNormal)
		}
	}
}

// hold has the library not ask for the given pieces. What a node has that is complete can be had from there all the same.
func (c *chooser) hold(pieces []int) {
	if c.held = pieces; c.allOut {
		return
	}
	for _, i := range pieces {
		c.ask(i, torrent.PiecePriorityNone)
	}
}

func (c *chooser) ask(i int, p torrent.PiecePriority) {
	if c.asked[i] != p {
		c.asked[i] = p
		c.entry.torrent.Piece(i).SetPriority(p)
	}
}

func (c *chooser) holdTimeout(now time.Time) time.Duration {
	return pick.HoldTimeout(len(c.held), now.Sub(c.began)/time.Duration(max(1, len(c.entry.store.pieces)-c.entry.store.blank)))
}

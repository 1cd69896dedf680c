package swarm

import (
	"context"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/anacrolix/torrent"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// chooser has the library ask for what a picker chooses: preferred pieces before others, held pieces not at all.
type chooser struct {
	engine *Engine
	entry  *entry
	board  *chooserBoard
	picker *pick.Picker
	began  time.Time
	// held is what the picker wants held, since it last changed at heldAt.
	held   []int
	heldAt time.Time
	// timedOut says that what was held did not come out in time.
	timedOut bool
}

// refillTime is how often the picker looks at the crowd, as peers come and go without a piece being completed.
const refillTime = 200 * time.Millisecond

func newChooser(e *Engine, f *entry) *chooser {
	b := &chooserBoard{torrentBoard: torrentBoard{f}}
	return &chooser{engine: e, entry: f, board: b, picker: pick.New(e.client.PeerID(), b), began: time.Now()}
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
		case <-c.entry.store.changed:
		}
		c.refill(time.Now())
	}
}

func (c *chooser) refill(now time.Time) {
	c.board.view = c.board.look(c.engine.cfg.Seeders)
	// What a node has that is complete can be had from there, and there is nothing to wait for.
	c.picker.ChooseHeld = c.timedOut || c.board.elsewhere
	hold := c.picker.Refill(pick.Window(c.engine.conns.depth(c.entry), c.entry.layout.pieceLength))
	c.entry.waits.Store(c.picker.Waits())
	slices.Sort(hold)
	if !slices.Equal(hold, c.held) {
		c.hold(hold)
		c.heldAt = now
	}
	if len(hold) > 0 && now.Sub(c.heldAt) > c.holdTimeout(now) {
		c.timedOut = true // from here on: who was too slow once is not waited for again
	}
}

// hold has the library ask for the pieces held so far again, and not for the given ones.
func (c *chooser) hold(pieces []int) {
	for _, i := range c.held {
		if !slices.Contains(pieces, i) && c.entry.store.missing(i) && !c.picker.Prefers(i) {
			c.entry.torrent.Piece(i).SetPriority(torrent.PiecePriorityNormal)
		}
	}
	for _, i := range pieces {
		if !slices.Contains(c.held, i) {
			c.entry.torrent.Piece(i).SetPriority(torrent.PiecePriorityNone)
		}
	}
	c.held = pieces
	held := roaring.New()
	for _, i := range pieces {
		held.AddInt(i)
	}
	c.entry.held.Store(held)
}

func (c *chooser) holdTimeout(now time.Time) time.Duration {
	return pick.HoldTimeout(len(c.held), now.Sub(c.began)/time.Duration(max(1, len(c.entry.store.pieces)-c.entry.store.blank)))
}

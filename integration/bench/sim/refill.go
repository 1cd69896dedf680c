package sim

import (
	"math"
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// What follows is internal/swarm's chooser, for a node of the simulation; its time is the same.
const refillTime = 200 * time.Millisecond

// refill has the picker fill its window, and holds what it wants held.
func (r *room) refill(d *node) {
	depth := 0
	for _, p := range d.pipes {
		depth = max(depth, p.most(math.MaxInt64))
	}
	for i := range d.availability {
		if d.availability[i] > 0 {
			d.leave(i)
		}
	}
	d.picker.ChooseHeld = d.timedOut
	hold := d.picker.Refill(pick.Window(depth, r.PieceLength))
	slices.Sort(hold)
	if !slices.Equal(hold, d.hold) {
		released := d.hold
		d.hold, d.heldAt = hold, r.now
		clear(d.held)
		if d.elsewhere == 0 {
			for _, i := range hold {
				d.held.add(i)
				d.high.remove(i)
			}
		}
		for _, i := range released {
			if !d.held.has(i) && !d.has.has(i) {
				r.fillAll(d, i)
			}
		}
	}
	average := (r.now - d.started) / time.Duration(r.pieces())
	if len(hold) > 0 && r.now-d.heldAt > pick.HoldTimeout(len(hold), average) {
		d.timedOut = true
	}
}

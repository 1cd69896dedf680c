package node

import (
	"context"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// forEver is a number of seconds that nobody waits for.
const forEver = 100 * 365 * 24 * 3600

// Seed gives the system to others for as long as the rule says, or until somebody presses a key. A system of the method root goes on
// giving itself away when it runs, unless the site says otherwise; of one that needs another kernel it is the boot part that is here.
func (n *Node) Seed(ctx context.Context, sys catalog.System, rule catalog.Seeding) error {
	if n.download.engine == nil || sys.Launch.Method == catalog.MethodLocal {
		return nil
	}
	other, err := n.otherKernel(sys)
	if err != nil {
		return err
	}
	switch {
	case other:
		part, err := n.bootPart(sys)
		if err != nil {
			return err
		}
		return n.giveAway(ctx, part.System, newPartLeaving(n.download.took, part.ToFetch(), time.Now()))
	case rule.Limit <= 0, sys.Launch.Method == catalog.MethodRoot && !n.session.catalog.Defaults.LeaveAtStart:
		return nil
	}
	return n.giveAway(ctx, sys, newLeaving(rule, sys.ToFetch(), time.Now()))
}

// giveAway gives to others until it is time to leave.
func (n *Node) giveAway(ctx context.Context, sys catalog.System, leave *leaving) error {
	return n.withScreen(ctx, sys, func(ctx context.Context, show func(menu.TransferMsg)) error {
		tick := time.NewTicker(time.Second / 4)
		defer tick.Stop()
		for {
			now := time.Now()
			s, ok := n.download.engine.Stats(sys.InfoHash)
			given := n.demand(sys, s.Uploaded)
			if leave.over(now, given) {
				n.Log("gave away %s of %s in %.0f s: %s", menu.Size(s.Uploaded), sys.Title, now.Sub(leave.began).Seconds(), leave.why)
				return nil
			}
			if ok {
				n.download.account(s)
				m := message(menu.Seed, sys, s)
				m.SeedLeft, m.SeedUntil = leave.left(now), leave.until(now, given)
				if leave.rule.Limit == forEver {
					m.SeedLeft, m.Note = 0, "Until somebody presses a key."
				}
				show(m)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	})
}

// demand is what the swarm wants of a system, and of its runtime, which is given away with it.
func (n *Node) demand(sys catalog.System, uploaded int64) demand {
	d := demand{Uploaded: uploaded, Leechers: n.download.engine.Leechers(sys.InfoHash)}
	if r, ok := n.download.runtime(sys); ok {
		s, _ := n.download.engine.Stats(r.InfoHash)
		d.Runtime, d.Leechers = s.Uploaded, max(d.Leechers, n.download.engine.Leechers(r.InfoHash))
	}
	return d
}

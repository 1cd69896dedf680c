package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/initramfs/seeders"
	"github.com/boottorrent/boottorrent/internal/order"
)

// Orders is where orders come from the seeder, for boot.Run.
func (n *Node) Orders() <-chan decision.Decision { return n.orders }

// reporter is what sends reports, and takes the orders that come as answers to them.
func (n *Node) reporter(ctx context.Context) *report.Obedient {
	return &report.Obedient{
		Seeder:   func() report.Exchanger { return seeders.Poster{Seeders: n.session.Seeders} },
		Reporter: n.Report, Key: n.session.Key, Help: n.helper.Ask,
		Decide: func(_ context.Context, o order.Order) (string, func(), error) {
			d, text, err := n.decide(o)
			if err != nil {
				n.Log("an order of the seeder's, to %s, is refused: %v", o.Action, err)
				return "", nil, err
			}
			n.Log("the seeder orders: %s", text)
			return text, func() {
				select {
				case n.orders <- d:
				case <-ctx.Done():
				}
			}, nil
		},
		Refused: func(err error) {
			if n.complained.Allow("order", time.Now(), 0) {
				n.Log("%v", err)
			}
		},
	}
}

// decide returns what to do about an order, and how to call it.
func (n *Node) decide(o order.Order) (d decision.Decision, text string, err error) {
	switch o.Action {
	case order.Reboot:
		return decision.Decision{Action: decision.Reboot}, "restarting", nil
	case order.PowerOff:
		return decision.Decision{Action: decision.PowerOff}, "switching off", nil
	case order.Choose:
		return n.decideChoice(o.System)
	}
	return d, "", fmt.Errorf("this node does not know how to %q; its image is older than the seeder", o.Action)
}

// decideChoice is decide for the order to start a system, or to show the chooser if that is empty.
func (n *Node) decideChoice(system string) (d decision.Decision, text string, err error) {
	offered := n.offered.Load()
	if offered == nil {
		return d, "", fmt.Errorf("it has not come to its chooser yet (it is at the step %s)", n.Report.Snapshot().Step)
	}
	if system == "" {
		return decision.Decision{Action: decision.Choose}, "showing the chooser", nil
	}
	i := slices.IndexFunc(*offered, func(i menu.Item) bool { return i.Name == system })
	switch {
	case i < 0:
		return d, "", fmt.Errorf("%s is not among what it offers", system)
	case (*offered)[i].Unavailable != "":
		return d, "", fmt.Errorf("it can't start %s: %s", system, (*offered)[i].Unavailable)
	}
	return decision.Decision{Action: decision.Start, System: system, ByPerson: true}, "starting " + (*offered)[i].Title, nil
}

package node

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/initramfs/report"
	wire "github.com/boottorrent/boottorrent/internal/report"
)

// networkDeadline is how long the network may take before it is a problem. Spanning tree may keep a switch's port closed for 50 s,
// so it gets more than that.
const networkDeadline = 2 * time.Minute

// link is what the node is on the network: its lease, which is renewed, and the cards that led to no seeder.
type link struct {
	log    func(format string, args ...any)
	report *report.Reporter
	// renewed is called after each renewal, from another goroutine.
	renewed func()

	// leased is read by the goroutines that report and that renew the lease as well.
	leased atomic.Pointer[network.Lease]
	// stopKeeping ends the lease's renewal.
	stopKeeping func()
	// deadEnds are the MAC addresses of the network cards by which no seeder was found.
	deadEnds map[string]bool
}

func newLink(log func(format string, args ...any), r *report.Reporter, renewed func()) *link {
	return &link{log: log, report: r, renewed: renewed, stopKeeping: func() {}, deadEnds: map[string]bool{}}
}

// connect brings up the network and keeps the lease. Where the present one still holds it does nothing, unless no seeder was found
// by its card and there is another to try.
func (l *link) connect(ctx context.Context, cfg config.Network) error {
	now := l.lease()
	elsewhere := l.deadEnds[now.MAC.String()] && network.Others(now, cfg)
	if now.Addr.IsValid() && network.Alive(now) && !elsewhere {
		return nil
	}
	l.stopKeeping()
	limited, cancel := context.WithTimeoutCause(ctx, networkDeadline, errors.New("gave up after two minutes"))
	defer cancel()
	lease, err := network.Up(limited, cfg, l.deadEnds, l.say)
	if err != nil {
		return err
	}
	if l.deadEnds[lease.MAC.String()] { // all others are, or have no answer: begin anew
		clear(l.deadEnds)
	}
	l.setLease(lease)
	l.stopKeeping = l.keep(ctx, lease)
	return nil
}

// keep renews a lease until ctx ends or the function that it returns is called.
func (l *link) keep(ctx context.Context, lease network.Lease) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		network.Keep(ctx, lease, l.say, func(next network.Lease) {
			l.setLease(next)
			l.renewed()
		})
	}()
	return func() {
		cancel()
		<-ended
	}
}

func (l *link) say(line string) { l.log("%s", line) }

// lease is what the node is on the network now; zero before it is there.
func (l *link) lease() network.Lease {
	if lease := l.leased.Load(); lease != nil {
		return *lease
	}
	return network.Lease{}
}

func (l *link) setLease(lease network.Lease) {
	l.leased.Store(&lease)
	l.report.Set(func(r *wire.Report) {
		r.MAC, r.IP, r.Name = lease.MAC.String(), lease.Addr.Addr().String(), lease.Hostname
	})
}

// seederFound notes whether a seeder was found by the card in use. If not, the next time another comes first, if there is one.
func (l *link) seederFound(found bool) {
	if found {
		clear(l.deadEnds)
	} else {
		l.deadEnds[l.lease().MAC.String()] = true
	}
}

// lost says that the link or the address is lost, if one is; otherwise it is empty.
func (l *link) lost() string {
	lease := l.lease()
	if !lease.Addr.IsValid() || network.Alive(lease) {
		return ""
	}
	return lease.Interface + " has lost its link or its address: is the cable plugged in?"
}

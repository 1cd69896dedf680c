package node

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

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
	// down is network.Down, and setHostname sets the kernel's, but in tests.
	down        func() error
	setHostname func(string) error

	// leased is read by the goroutines that report and that renew the lease as well.
	leased atomic.Pointer[leased]
	// known is the lease that the node had under the kernel before, until it has one; age is how old that is.
	known *network.Lease
	age   func() time.Duration
	// stopKeeping ends the lease's renewal.
	stopKeeping func()
	// deadEnds are the MAC addresses of the network cards by which no seeder was found.
	deadEnds map[string]bool
}

// leased is a lease and when it was given.
type leased struct {
	network.Lease
	since time.Time
}

func setHostname(name string) error { return unix.Sethostname([]byte(name)) }

func newLink(log func(format string, args ...any), r *report.Reporter, renewed func()) *link {
	return &link{log: log, report: r, renewed: renewed, down: network.Down, setHostname: setHostname, stopKeeping: func() {}, deadEnds: map[string]bool{}}
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
	lease, err := l.up(limited, cfg)
	if err != nil {
		return err
	}
	l.known = nil
	if l.deadEnds[lease.MAC.String()] { // all others are, or have no answer: begin anew
		clear(l.deadEnds)
	}
	l.setLease(lease)
	l.stopKeeping = l.keep(ctx, lease)
	return nil
}

// up gets a lease: the one that the node had, or any.
func (l *link) up(ctx context.Context, cfg config.Network) (network.Lease, error) {
	if l.known != nil {
		return network.Resume(ctx, cfg, *l.known, l.age(), l.say)
	}
	return network.Up(ctx, cfg, l.deadEnds, l.say)
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

// rename gives the node the name that the site's rules say. DHCP servers hear it with the next renewal, which comes soon. The lease is kept
// until ctx ends.
func (l *link) rename(ctx context.Context, name string) {
	lease, age := l.leaseAge()
	if !lease.Addr.IsValid() || lease.Named && lease.Hostname == name {
		return
	}
	l.log("host name: %s, as the site says", name)
	if err := l.setHostname(name); err != nil {
		l.log("the host name %s is not set: %v", name, err)
	}
	l.stopKeeping()
	named := lease.WithName(name)
	l.leaseSince(named, time.Now().Add(-age))
	l.stopKeeping = l.keep(ctx, named.After(age))
}

// lease is what the node is on the network now; zero before it is there.
func (l *link) lease() network.Lease {
	lease, _ := l.leaseAge()
	return lease
}

// leaseAge is the lease, and for how long the node has had it.
func (l *link) leaseAge() (network.Lease, time.Duration) {
	if leased := l.leased.Load(); leased != nil {
		return leased.Lease, time.Since(leased.since)
	}
	return network.Lease{}, 0
}

// leave ends the renewal and takes the network down, as it is after power-on. The lease is not released.
func (l *link) leave() error {
	l.stopKeeping()
	l.stopKeeping = func() {}
	return l.down()
}

func (l *link) setLease(lease network.Lease) { l.leaseSince(lease, time.Now()) }

func (l *link) leaseSince(lease network.Lease, since time.Time) {
	l.leased.Store(&leased{lease, since})
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

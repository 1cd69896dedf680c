// Package network connects a node: it brings up every NIC, waits for link, and gets an address.
//
// In goes [config.Network], what the kernel command line and the medium say; out comes a configured interface as a [Lease]. [Keep]
// renews it. Spoken are DHCP (RFC 2131, options of RFC 2132, 3442 and 4578), as a client of plain servers and of a
// proxyDHCP beside them (PXE 2.1), and 802.1Q.
package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
)

const (
	// lookEvery is how often the interfaces are looked at. That takes microseconds, sees adapters and cables plugged in
	// soon enough, and unlike a subscription to changes misses none.
	lookEvery = 100 * time.Millisecond
	// hintAfter is when to say what is being waited for. Link takes up to 3 s to negotiate on copper.
	hintAfter = 4 * time.Second
	// confirmWithin is the time a server has to acknowledge what it offered, confirmEvery when to ask again.
	confirmWithin, confirmEvery = 8 * time.Second, 2 * time.Second
)

// Up brings the network up and returns when one NIC is configured. All NICs are tried at once, also those that get
// link or appear later; of those that are answered the best is used and the others are taken down: the one that the firmware
// booted from (cfg.MAC), for which a minute is waited; then the first one; then one with a link-local address; and last those in
// deadEnds, by their MAC addresses, which led to no seeder before. ev gets progress messages for the screen, one line each.
//
// It goes on until ctx ends: set a deadline. The error then wraps ctx's cause and says for each NIC what was seen and what
// to try.
func Up(ctx context.Context, cfg config.Network, deadEnds map[string]bool, ev func(string)) (Lease, error) {
	return newUpper(cfg, deadEnds, ev, thisHost(), hardware.ReadFacts().UUID).up(ctx)
}

func newUpper(cfg config.Network, deadEnds map[string]bool, ev func(string), h host, uuid string) *upper {
	return &upper{cfg: cfg, deadEnds: deadEnds, ev: oneByOne(ev), host: h, uuid: uuid, nics: map[int]*nic{}, ready: make(chan *answer)}
}

func (u *upper) up(ctx context.Context) (Lease, error) {
	ctx, cancel := context.WithCancel(ctx)
	lease, err := u.run(ctx)
	// Whoever asks writes to interfaces; all of it must have ended before the caller goes on.
	cancel()
	u.asking.Wait()
	return lease, err
}

// oneByOne lets goroutines share ev.
func oneByOne(ev func(string)) func(string) {
	var mu sync.Mutex
	return func(s string) {
		mu.Lock()
		defer mu.Unlock()
		ev(s)
	}
}

// run looks at the NICs until one has an answer that holds.
func (u *upper) run(ctx context.Context) (Lease, error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	hint := time.NewTimer(hintAfter)
	defer hint.Stop()
	u.look(ctx)
	for {
		select {
		case <-ctx.Done():
			return Lease{}, u.explain(context.Cause(ctx))
		case <-hint.C:
			u.hint()
		case <-look.C:
			u.look(ctx)
		case a := <-u.ready:
			a.at = time.Now()
			u.answers = append(u.answers, a)
		}
		chosen := u.decide(time.Now())
		if chosen == nil {
			continue
		}
		lease, err := u.take(ctx, chosen)
		if err == nil {
			u.takeOthersDown(chosen.nic)
			return lease, nil
		}
		u.ev(fmt.Sprintf("%s: %v; asking again", chosen.ifname, err))
		chosen.nic.retryLater(err)
	}
}

// take makes a lease of an answer and configures its interface.
func (u *upper) take(ctx context.Context, a *answer) (Lease, error) {
	var lease Lease
	var err error
	switch {
	case a.reclaimed != nil:
		lease = *a.reclaimed
		err = u.host.configure(lease, u.ev)
	case u.cfg.Static.IsValid():
		lease = staticLease(u.cfg, a)
		err = u.host.configure(lease, u.ev)
	default:
		lease, err = takeOffer(ctx, u.host, a.talk, a.offers, Lease{Interface: a.ifname, fixedMTU: u.cfg.MTU}, u.ev)
	}
	if err != nil {
		return Lease{}, err
	}
	u.ev(describe(lease))
	return lease, nil
}

// takeOffer accepts an offer and configures the interface with what the server acknowledges. Of the lease before it keeps the interface, and
// what DHCP does not decide: a set MTU, and the name by the site's rules.
func takeOffer(ctx context.Context, h host, talk *conversation, o offers, before Lease, ev func(string)) (Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	server := facts{o.address.Options}.server()
	ack, err := talk.confirm(ctx, talk.id.request(o.address), server, confirmEvery)
	if err != nil {
		return Lease{}, fmt.Errorf("%v offered %v, but: %w", server, o.address.YourIPAddr, err)
	}
	lease, err := newLease(before.Interface, talk.id.mac, ack, o)
	if err != nil {
		return Lease{}, err
	}
	lease.fixedMTU = before.fixedMTU
	if before.Named {
		lease = lease.WithName(before.Hostname)
	}
	return lease, h.configure(lease, ev)
}

func staticLease(cfg config.Network, a *answer) Lease {
	return Lease{Interface: a.ifname, MAC: a.nic.mac, Addr: cfg.Static, Gateway: cfg.Gateway, DNS: cfg.DNS,
		Hostname: cfg.Hostname, NextServer: cfg.Server, MTU: cfg.MTU}
}

// describe is a lease in one line.
func describe(l Lease) string {
	parts := []string{fmt.Sprintf("%s: address %s", l.Interface, l.Addr)}
	if l.Gateway.IsValid() {
		parts = append(parts, "gateway "+l.Gateway.String())
	}
	if l.Server.IsValid() {
		parts = append(parts, fmt.Sprintf("from %s for %s", l.Server, leaseTime(l.Duration)))
	} else {
		parts = append(parts, "as it is set")
	}
	return strings.Join(parts, ", ")
}

func leaseTime(d time.Duration) string {
	if d >= forever {
		return "ever"
	}
	text := d.Round(time.Second).String()
	// 1h0m0s is an hour.
	for _, zero := range []string{"0s", "0m"} {
		if rest := strings.TrimSuffix(text, zero); strings.HasSuffix(rest, "m") || strings.HasSuffix(rest, "h") {
			text = rest
		}
	}
	return text
}

// takeOthersDown leaves only the chosen NIC up.
func (u *upper) takeOthersDown(chosen *nic) {
	for _, n := range u.nics {
		if n == chosen {
			continue
		}
		n.stop()
		n.wait()
		link, err := netlink.LinkByIndex(n.index)
		if err != nil {
			continue // unplugged meanwhile
		}
		u.removeVLAN(n)
		if err := errors.Join(clearAddresses(link, netip.Prefix{}), netlink.LinkSetDown(link)); err != nil {
			u.ev(fmt.Sprintf("%s: not used, but it stays up: %v", n.name, err))
		}
	}
}

// removeVLAN removes the VLAN interface made on a NIC that is not used.
func (u *upper) removeVLAN(n *nic) {
	if u.cfg.VLAN == 0 {
		return
	}
	if link, err := netlink.LinkByName(vlanName(n.name, u.cfg.VLAN)); err == nil && link.Type() == "vlan" {
		_ = netlink.LinkDel(link) // it goes down with its NIC in any case
	}
}

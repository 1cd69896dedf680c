package stay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// settleTime is how long changes of the network are waited for to end before the address is looked up: a network manager makes
	// several in a row. A link that is gone for less is not noticed, and connections survive that.
	settleTime = 300 * time.Millisecond
	// lookTime is how often the address is looked up without a change, in case one was missed.
	lookTime = time.Minute
)

// watchAddress sends the address to give away from whenever it has become another one, and the zero Addr when there is none
// any more, until ctx ends. The first value comes at once. It changes nothing of the network, and needs neither /proc nor /sys.
func watchAddress(ctx context.Context, seeder func() netip.Addr, log func(string, ...any)) <-chan netip.Addr {
	addresses := make(chan netip.Addr)
	go func() {
		changes := make(chan struct{}, 1)
		go watchChanges(ctx, changes, log)
		last, first := netip.Addr{}, true
		for ctx.Err() == nil {
			now, err := address(seeder())
			if err != nil {
				log("look up this machine's address: %v", err)
			}
			if first || now != last {
				select {
				case addresses <- now:
				case <-ctx.Done():
				}
			}
			last, first = now, false
			select {
			case <-ctx.Done():
			case <-time.After(lookTime):
			case <-changes:
				settle(ctx, changes)
			}
		}
	}()
	return addresses
}

// settle returns when no change has come for a while, or changes have come for ten times as long.
func settle(ctx context.Context, changes <-chan struct{}) {
	end := time.After(10 * settleTime)
	for {
		select {
		case <-changes:
		case <-time.After(settleTime):
			return
		case <-end:
			return
		case <-ctx.Done():
			return
		}
	}
}

// watchChanges puts a value into changes whenever the kernel says that a link, an IPv4 address or an IPv4 route has changed
// (rtnetlink(7)), until ctx ends.
func watchChanges(ctx context.Context, changes chan<- struct{}, log func(string, ...any)) {
	for ctx.Err() == nil {
		if err := receiveChanges(ctx, changes); err != nil && ctx.Err() == nil {
			log("watch the network: %v; trying again in %s", err, lookTime)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookTime):
		}
	}
}

func receiveChanges(ctx context.Context, changes chan<- struct{}) error {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE)
	if err != nil {
		return fmt.Errorf("subscribe to rtnetlink: %w", err)
	}
	defer context.AfterFunc(ctx, socket.Close)()
	defer socket.Close()
	for {
		select {
		case changes <- struct{}{}: // the first time it stands for what changed before
		default:
		}
		// What came may be lost (ENOBUFS); that something came is enough.
		if _, _, err := socket.Receive(); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
}

// address is the IPv4 address that packets to the seeder come from, if its link is up. Where no route leads there it is the first
// global one; the zero Addr if there is none.
func address(seeder netip.Addr) (netip.Addr, error) {
	if a, ok := addressTo(seeder); ok {
		return a, nil
	}
	all, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("list addresses: %w", err)
	}
	slices.SortStableFunc(all, func(a, b netlink.Addr) int { return a.LinkIndex - b.LinkIndex })
	for _, a := range all {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok && a.Scope == unix.RT_SCOPE_UNIVERSE && ip.IsGlobalUnicast() && up(a.LinkIndex) {
			return ip, nil
		}
	}
	return netip.Addr{}, nil
}

// addressTo is the address by which the kernel would speak to another.
func addressTo(seeder netip.Addr) (netip.Addr, bool) {
	if !seeder.Is4() {
		return netip.Addr{}, false
	}
	routes, err := netlink.RouteGet(seeder.AsSlice())
	if err != nil || len(routes) == 0 || !up(routes[0].LinkIndex) {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(routes[0].Src.To4())
}

// up reports whether a link carries packets to other machines.
func up(index int) bool {
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		return false
	}
	flags := link.Attrs().RawFlags
	return flags&unix.IFF_UP != 0 && flags&unix.IFF_LOWER_UP != 0 && flags&unix.IFF_LOOPBACK == 0
}

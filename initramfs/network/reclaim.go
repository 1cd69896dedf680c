package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
)

// Resume is Up for a node that had a lease until another kernel was started: the NIC with the lease's MAC address is preferred, and
// asks for the address it had (RFC 2131, 3.2 and 4.3.2, INIT-REBOOT) before it asks for any. Where nobody answers, the rest of
// the lease is used, of which age is over. An address that a server refuses, or whose time is over, is forgotten.
func Resume(ctx context.Context, cfg config.Network, known Lease, age time.Duration, ev func(string)) (Lease, error) {
	return resume(ctx, cfg, known, age, ev, thisHost(), hardware.ReadFacts().UUID)
}

func resume(ctx context.Context, cfg config.Network, known Lease, age time.Duration, ev func(string), h host, uuid string) (Lease, error) {
	cfg.MAC = known.MAC.String()
	u := newUpper(cfg, nil, ev, h, uuid)
	if !cfg.Static.IsValid() && known.Addr.IsValid() {
		u.known = &reclaim{lease: known, end: time.Now().Add(known.Duration - age)}
	}
	return u.up(ctx)
}

// reclaim is a lease from before.
type reclaim struct {
	lease Lease
	end   time.Time
}

// knownName is the name by the site's rules of the node whose lease of this NIC is known; empty if there is none.
func (u *upper) knownName(n *nic) string {
	if u.known == nil || n.mac.String() != u.known.lease.MAC.String() {
		return ""
	}
	return u.known.lease.name()
}

// reclaim asks on a NIC for the address that it had. It returns nil where the address is to be forgotten; an error is ctx's.
func (u *upper) reclaim(ctx context.Context, a *answer) (*Lease, error) {
	known := u.known
	if known == nil || a.nic.mac.String() != known.lease.MAC.String() {
		return nil, nil
	}
	l := known.lease
	l.Interface, l.fixedMTU, l.notes = a.ifname, u.cfg.MTU, nil
	limited, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	ack, err := a.talk.confirm(limited, a.talk.id.reboot(l.Addr.Addr()), l.Server, confirmEvery)
	if err == nil {
		l, err = l.renewed(ack)
	} else if left := time.Until(known.end); left > 0 && !errors.Is(err, errRefused) {
		u.ev(fmt.Sprintf("%s: nobody confirms the address %s; going on with its lease, which holds for %s more", a.ifname, l.Addr,
			leaseTime(left.Round(time.Second))))
		l, err = l.remaining(left), nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		u.ev(fmt.Sprintf("%s: the address %s is lost: %v; asking for a new one", a.ifname, l.Addr, err))
		return nil, nil
	}
	return &l, nil
}

// After is the lease, as it was given, when that is age ago: it is to be renewed soon, so that servers hear what is new of the node.
func (l Lease) After(age time.Duration) Lease {
	if l.Duration == 0 || l.Duration >= forever {
		return l
	}
	return l.remaining(max(l.Duration-age, time.Second))
}

// remaining is the lease when so much of it is left. It is to be renewed soon: nobody has confirmed it.
func (l Lease) remaining(left time.Duration) Lease {
	if l.Duration >= forever {
		return l
	}
	l.Renew = min(soonest, left/2)
	l.Rebind = max(l.Renew, l.Rebind-(l.Duration-left))
	l.Duration = left
	return l
}

// reboot asks for an address that the node had (INIT-REBOOT): the address is in the option, and no server is named.
func (id identity) reboot(addr netip.Addr) *dhcpv4.DHCPv4 {
	return id.message(dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(addr.AsSlice())))
}

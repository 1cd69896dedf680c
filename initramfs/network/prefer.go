package network

import (
	"fmt"
	"time"
)

// How long a better NIC is waited for when another one has an answer already.
const (
	// spanningTree is how long a switch may keep a port closed after it got link: twice 15 s, and up to 50 s where it has to
	// find out who the root is (IEEE 802.1D-2004, 17.14), and then the next DISCOVER has to come.
	spanningTree = time.Minute
	// linkTime is how long a card may take to get link.
	linkTime = 10 * time.Second
	// appearTime is how long the NIC that the firmware booted from may take to appear after another was answered.
	appearTime = time.Second
)

// rank says which of several NICs is used: that of the highest.
type rank int

const (
	// deadEnd is a NIC by which no seeder was found the last time.
	deadEnd rank = iota
	// linkLocal is one with an address that leads nowhere (169.254.0.0/16, RFC 3927), as management processors give by the USB
	// network card they show to the machine.
	linkLocal
	ordinary
	// booted is the NIC that the firmware booted from.
	booted
)

// rank is that of an answer.
func (u *upper) rank(a *answer) rank {
	r := u.best(a.nic)
	if o := a.offers.address; o != nil && toAddr(o.YourIPAddr).IsLinkLocalUnicast() {
		r = min(r, linkLocal)
	}
	return r
}

// best is the highest rank that a NIC's answer can have.
func (u *upper) best(n *nic) rank {
	switch mac := n.mac.String(); {
	case u.deadEnds[mac]:
		return deadEnd
	case mac == u.cfg.MAC:
		return booted
	}
	return ordinary
}

// decide returns the answer to use; nil if there is none, or a better one may come.
func (u *upper) decide(now time.Time) *answer {
	var chosen *answer
	for _, a := range u.answers {
		if a.ctx.Err() == nil && (chosen == nil || u.rank(a) > u.rank(chosen)) { // or else its link was lost
			chosen = a
		}
	}
	if chosen == nil {
		return nil
	}
	better, until := u.awaited(chosen)
	if !now.Before(until) {
		return chosen
	}
	if !u.waiting {
		u.waiting = true
		u.ev(fmt.Sprintf("%s has an answer; waiting up to %s for %s", chosen.ifname, until.Sub(now).Round(time.Second), better))
	}
	return nil
}

// awaited is what may be better than an answer, and until when to wait for it; the zero time if there is nothing.
func (u *upper) awaited(chosen *answer) (better string, until time.Time) {
	wait := func(name string, end time.Time) {
		if end.After(until) {
			better, until = name, end
		}
	}
	present := false
	for _, n := range u.nics {
		present = present || n.mac.String() == u.cfg.MAC
		switch {
		case u.best(n) <= u.rank(chosen), n.failures > 1, u.answered(n):
		case n.carrier:
			wait(n.name, n.linked.Add(spanningTree))
		default:
			wait(n.name, n.seen.Add(linkTime))
		}
	}
	if u.cfg.MAC != "" && !present && u.rank(chosen) < booted {
		wait(u.cfg.MAC+", which the machine was booted from", chosen.at.Add(appearTime))
	}
	return better, until
}

func (u *upper) answered(n *nic) bool {
	for _, a := range u.answers {
		if a.nic == n && a.ctx.Err() == nil {
			return true
		}
	}
	return false
}

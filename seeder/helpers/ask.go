package helpers

import (
	"net/netip"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// helper is a node that was asked to help.
type helper struct {
	addr  netip.Addr
	group netip.Prefix
	// boot, mac and image are what was asked of whom.
	boot, mac, image string
	asked            time.Time
	// at is where it serves; the zero AddrPort: it hasn't said that it does. reported is when it said so last, served how much it has sent.
	at       netip.AddrPort
	reported time.Time
	served   int64
	// tried is when what it serves was last found right; trying says that it is being looked at, next when it is looked at again.
	tried, next time.Time
	trying      bool
	// machines is how many were sent to it and load.
	machines int
	// out is until when it is not used, as it was found wrong, slow or gone.
	out time.Time
}

const (
	// perHelper is how many machines load from a helper at a time: on a link of 100 Mbit/s they have phase 1 after 4 s.
	perHelper = 3
	// maxHelpers is how many nodes of a network help: as many as 48 machines at a time.
	maxHelpers = 16
	// helpTime is how long a node needs from being asked until it helps, beside the transfer: two reports, the hashing, the first trial.
	helpTime = 3 * time.Second
	// worth is by how much longer than two loads the rest of a room must have to wait for the seeder's link: one load is the helper's own, and one
	// goes on meanwhile. The benchmark 'bench phase1' has the numbers below and above it (docs/phase1.md).
	worth = 5 * time.Second
	// hushPause is how long after one time that the seeder's link was left to the first helper there is no other.
	hushPause = 5 * time.Minute
	// lately is how long ago machines count that have asked for phase 1: half as many more are expected.
	lately = 10 * time.Second
	// silence is how long a helper may not report: nodes do every 15 seconds.
	silence = 40 * time.Second
	// assumedTime is how long a load from a helper takes until one has been seen.
	assumedTime = 2 * time.Second
	// lowestPort is the first of the ports that helpers serve at: no report has the seeder look at another service of a machine.
	lowestPort = 1024
)

// Report takes a node's report, which came from an address, and returns the value of report.HelpHeader for the answer; empty: none. image is
// the infohash of the image for the node's architecture, in hexadecimal, and able says that the node can be asked.
func (b *Book) Report(rep report.Report, from netip.Addr, image string, able bool) (ask string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Now()
	b.expire(now)
	if m := b.machines[from]; m != nil && m.state == loading && rep.Uptime < now.Sub(m.began).Seconds() {
		b.release(m) // it has loaded phase 1, as it runs
		m.state, m.seen = loaded, now
	}
	h := b.helpers[from]
	if h != nil && (h.boot != rep.Boot || h.mac != rep.MAC) {
		b.drop(h, "another boot reports from its address")
		h = nil
	}
	if !b.cfg.On() {
		if h != nil {
			b.drop(h, "helpers were turned off")
		}
		if rep.Phase1 != nil {
			return report.HelpStop
		}
		return ""
	}
	if h != nil {
		b.hear(h, rep, now)
	}
	if h == nil && able && rep.IP == from.String() && b.wants(from, image, now) {
		b.helpers[from] = &helper{addr: from, group: b.cfg.Group(from), boot: rep.Boot, mac: rep.MAC, image: image, asked: now}
		b.hush(b.helpers[from], now)
		b.log.Info("a node is asked to give phase 1 to machines that start", "ip", from, "mac", rep.MAC)
		return image
	}
	if h != nil && !h.at.IsValid() && b.images[h.image] != nil {
		return h.image // it may not have got the answer
	}
	return ""
}

// hear takes what a helper says of its help.
func (b *Book) hear(h *helper, rep report.Report, now time.Time) {
	p := rep.Phase1
	if p == nil || p.Image != h.image || p.Port < lowestPort {
		if h.at.IsValid() {
			b.drop(h, "it helps no longer")
		}
		return
	}
	if at := netip.AddrPortFrom(h.addr, uint16(p.Port)); at != h.at {
		h.at, h.tried, h.next = at, time.Time{}, now
		b.wake()
	}
	h.reported = now
	if more := p.Served - h.served; more > 0 && more <= maxServed {
		b.counts.FromHelpers += more
	}
	h.served = max(h.served, p.Served)
}

// maxServed is what a helper can have sent between two reports at most, in bytes: twice what a link of 1 Gbit/s carries in 15 s. What is
// more is not counted.
const maxServed = 4 << 30

// drop forgets a helper. Machines that load from it go to the seeder by themselves.
func (b *Book) drop(h *helper, why string) {
	b.log.Info("a node does not give phase 1 away any more", "ip", h.addr, "why", why)
	delete(b.helpers, h.addr)
}

// wants reports whether one more node of a network is asked to help.
func (b *Book) wants(node netip.Addr, image string, now time.Time) bool {
	i := b.images[image]
	if i == nil {
		return false
	}
	each := b.pace.perLoad(i.size())
	if each == 0 {
		return false // no machine has loaded yet: nothing is known of the link
	}
	group, demand := b.cfg.Group(node), len(b.arrivals)/2
	for _, m := range b.machines {
		if m.state != loaded && m.group == group {
			demand++
		}
	}
	if time.Duration(demand-2)*each < worth {
		return false
	}
	return b.count(group, now) < min(maxHelpers, (demand+perHelper-1)/perHelper)
}

// count is how many nodes of a network help or are about to.
func (b *Book) count(group netip.Prefix, now time.Time) (n int) {
	for addr, h := range b.helpers {
		switch {
		case h.group != group:
		case h.at.IsValid() && now.Sub(h.reported) > silence:
			b.drop(h, "its reports have stopped")
		case !h.at.IsValid() && now.Sub(h.asked) > time.Minute+4*b.pace.perLoad(b.size(h)):
			delete(b.helpers, addr) // it does not want to, or can't
		case now.Before(h.out):
		default:
			n++
		}
	}
	return n
}

func (b *Book) size(h *helper) int64 {
	if i := b.images[h.image]; i != nil {
		return i.size()
	}
	return 0
}

// hush leaves the seeder's link to a node that is about to help where none does yet, for no longer than twice what that takes if all is well.
func (b *Book) hush(h *helper, now time.Time) {
	if now.Sub(b.hushed) < hushPause {
		return
	}
	b.hushed, b.hushGroup = now.Add(2*(b.pace.perLoad(b.size(h))+helpTime)), h.group
}

// preparing reports whether the seeder's link is left to a network's first helper.
func (b *Book) preparing(group netip.Prefix, now time.Time) bool {
	return group == b.hushGroup && now.Before(b.hushed)
}

// usable reports whether machines are sent to a helper.
func (h *helper) usable(now time.Time) bool {
	return h.at.IsValid() && !h.tried.IsZero() && now.After(h.out) && now.Sub(h.reported) <= silence
}

// serves reports whether a helper is for machines of a network that load an image.
func (b *Book) serves(h *helper, group netip.Prefix, i *Image, now time.Time) bool {
	return h.usable(now) && h.group == group && h.image == i.InfoHash.String()
}

// choose is the helper with the fewest machines.
func (b *Book) choose(group netip.Prefix, i *Image, now time.Time) (least *helper) {
	for _, h := range b.helpers {
		if !b.serves(h, group, i, now) {
			continue
		}
		if least == nil || h.machines < least.machines || h.machines == least.machines && h.addr.Less(least.addr) {
			least = h
		}
	}
	return least
}

package helpers

import (
	"net/netip"
	"slices"
	"time"
)

// state is what a machine does.
type state int

const (
	waiting state = iota
	loading
	loaded
)

// machine is one that starts, as known by its address.
type machine struct {
	state state
	group netip.Prefix
	// first is when it asked for the first time, seen when it was last heard of.
	first, seen time.Time
	// from is the helper that it loads from; nil: the seeder. began is when it was sent there.
	from  *helper
	began time.Time
	// mark is of a load from the seeder that has begun.
	mark    loadMark
	counted bool // in pace.now
	// size is what it loads, got what of that the seeder has sent, in bytes.
	size, got int64
}

const (
	// idle is how long a machine that loads from the seeder may take nothing, or one that waits not ask, until its place is another's.
	idle = 15 * time.Second
	// remembered is how long a machine that has loaded is known.
	remembered = time.Minute
	// maxMachines bounds what strangers can fill; others load from the seeder at once.
	maxMachines = 16384
	// Stall is how long a helper may send nothing until a machine goes to the seeder. A boot script that waits for two files waits twice
	// at most, and a helper that a machine had to leave is tried at once. On a full link TCP is silent for seconds where it loses a packet
	// several times: after 0.2, 0.4, … 3.2 s it sends it once more (RFC 6298, 5.5).
	Stall = 10 * time.Second
)

// Turn is from where a machine loads phase 1.
type Turn struct {
	// Helper is the node that it loads from; the zero AddrPort: the seeder.
	Helper netip.AddrPort
	// Wait is how long it waits before it asks again, as Before machines load before it; 0: it loads.
	Wait   time.Duration
	Before int
}

// Turn decides for a machine that asks for the boot script, which names these paths of kernel and initramfs. What is not an image that nodes can give is
// loaded from the seeder, and so is everything while the site has no helpers.
func (b *Book) Turn(client netip.Addr, paths ...string) Turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	image := b.image(paths)
	if image == nil || !client.IsValid() || !b.cfg.On() {
		return Turn{}
	}
	now := b.cfg.Now()
	b.expire(now)
	m := b.machine(client, now)
	if m == nil {
		return Turn{}
	}
	b.release(m) // it starts again, or is another one behind the same router
	m.state, m.size, m.got, m.seen = waiting, image.size(), 0, now
	before, helpers, places := b.ahead(m), 0, 0
	for _, h := range b.helpers {
		if b.serves(h, m.group, image, now) {
			helpers, places = helpers+1, places+max(0, perHelper-h.machines)
		}
	}
	switch {
	case places > 0 && before < reach*places:
		m.from = b.choose(m.group, image, now)
		m.from.machines++
		m.state, m.began = loading, now
		return Turn{Helper: m.from.at}
	case b.seederFree(m, before, helpers, now):
		m.state, m.began = loading, now
		m.mark, m.counted = b.pace.begin(now), true
		return Turn{}
	}
	return Turn{Wait: pause(before), Before: before + b.loading()}
}

// reach is how many machines may take a free place, so that it is not empty until the one that has waited longest asks again.
const reach = 4

// seederFree reports whether a machine loads from the seeder now.
func (b *Book) seederFree(m *machine, before, helpers int, now time.Time) bool {
	free := b.pace.limit - b.pace.now
	each := b.pace.perLoad(m.size)
	switch {
	case free <= 0 || before >= reach*free:
		return false
	case helpers > 0 && each > 0:
		// Where helpers bring it sooner, it waits for one of them.
		return each*time.Duration(b.pace.now+1) <= b.helperTime*time.Duration(1+before/(perHelper*helpers))
	case helpers == 0:
		return !b.preparing(m.group, now)
	}
	return true
}

// pause is how long a machine waits before it asks again: those that have waited longest ask every second.
func pause(before int) time.Duration {
	return time.Duration(min(5, 1+before/16)) * time.Second
}

// ahead is how many machines have waited longer, and loading how many load.
func (b *Book) ahead(m *machine) (n int) {
	for _, o := range b.machines {
		if o != m && o.state == waiting && o.group == m.group && o.first.Before(m.first) {
			n++
		}
	}
	return n
}

func (b *Book) loading() (n int) {
	for _, m := range b.machines {
		if m.state == loading {
			n++
		}
	}
	return n
}

// machine is the one at an address, which is new if it isn't known; nil: too many are.
func (b *Book) machine(client netip.Addr, now time.Time) *machine {
	if m := b.machines[client]; m != nil {
		if m.state == loaded {
			m.first = now
		}
		return m
	}
	if len(b.machines) >= maxMachines {
		return nil
	}
	m := &machine{group: b.cfg.Group(client), first: now}
	b.machines[client] = m
	b.arrivals = append(b.arrivals, now)
	b.arrivals = b.arrivals[max(0, len(b.arrivals)-maxMachines):]
	return m
}

// image is the one that has all these paths; nil: none has.
func (b *Book) image(paths []string) *Image {
	for _, i := range b.images {
		if len(paths) > 0 && !slices.ContainsFunc(paths, func(p string) bool { return !i.has(p) }) {
			return i
		}
	}
	return nil
}

// release gives a machine's place to others.
func (b *Book) release(m *machine) {
	if m.from != nil {
		m.from.machines--
		m.from = nil
	}
	if m.counted {
		b.pace.end()
		m.counted = false
	}
}

// expire ends what machines began that have gone.
func (b *Book) expire(now time.Time) {
	for addr, m := range b.machines {
		limit := idle
		switch {
		case m.state == loaded:
			limit = remembered
		case m.from != nil: // nothing is heard of it until it has loaded
			limit = max(2*idle, 4*b.helperTime)
		}
		if now.Sub(m.seen) > limit {
			b.release(m)
			delete(b.machines, addr)
		}
	}
	i := 0
	for i < len(b.arrivals) && now.Sub(b.arrivals[i]) > lately {
		i++
	}
	b.arrivals = b.arrivals[i:]
}

// Sending notes that the seeder sends a file of phase 1 to a machine. sent is to be called with the number of bytes of each part that was sent.
func (b *Book) Sending(client netip.Addr, path string) (sent func(n int64)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.machines[client]
	if m != nil && m.from != nil { // it has left its helper
		b.counts.Fallbacks++
		b.suspect(m.from)
		b.release(m)
	}
	return func(n int64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.counts.FromSeeder += n
		b.pace.sent += n
		m := b.machines[client]
		if m == nil || m.state != loading {
			return
		}
		m.seen, m.got = b.cfg.Now(), m.got+n
		if m.got >= m.size { // the last of it is on its way, and the link free for the next one
			b.finish(m, m.seen)
		}
	}
}

// Loaded notes that a machine says that it has all of phase 1.
func (b *Book) Loaded(client netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m := b.machines[client]; m != nil && m.state == loading {
		b.finish(m, b.cfg.Now())
	}
}

// finish notes that a machine has loaded phase 1.
func (b *Book) finish(m *machine, now time.Time) {
	if m.from != nil {
		b.counts.LoadsHelpers++
		took := now.Sub(m.began)
		b.helperTime = (3*b.helperTime + took) / 4
		if took > b.slowest(m.size) {
			b.suspect(m.from)
		}
	} else {
		b.counts.LoadsSeeder++
		if m.counted {
			b.pace.finish(m.mark, now)
		}
	}
	b.release(m)
	m.state, m.seen = loaded, now
}

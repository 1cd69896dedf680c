package swarm

import (
	"net/netip"
	"time"
)

// reachOut turns to far peers where the near ones bring nothing, and leaves them when those do again.
func (d *download) reachOut(now time.Time) {
	f := d.entry
	if near := f.reach.lastNear.Load(); near != d.near || f.store.hashing() {
		d.near, d.nearAt = near, now
	}
	others := d.engine.others()
	switch out := f.reach.out(); {
	case out && (len(others) == 0 || d.nearSuffice(now)):
		d.engine.turnBack(f)
	case len(others) == 0:
	case !out && d.nearFail(now), out && now.Sub(d.heardAt) >= farStep && now.Sub(d.steppedAt) >= farStep:
		d.steppedAt = now
		d.engine.turnTo(f, f.reach.step(others))
	}
}

// nearFail reports whether near peers bring nothing and are not going to.
func (d *download) nearFail(now time.Time) bool {
	silent := now.Sub(d.nearAt)
	if silent < farAfter {
		return false
	}
	if now.Sub(d.doubtedAt) >= farAfter {
		d.doubtedAt = now
		d.entry.reach.doubt()
	}
	return d.entry.reach.silent.Load() || silent >= d.stallAfter()+farAfter
}

// nearSuffice reports whether the own seeder brings something, or near nodes have all that is missing.
func (d *download) nearSuffice(now time.Time) bool {
	lastOwn := time.Unix(0, d.entry.reach.lastOwn.Load())
	return now.Sub(lastOwn) < 2*d.engine.cfg.tick || !d.entry.crowd.nearLack(d.entry.store.missing)
}

// others are the seeders but the own one.
func (e *Engine) others() []Seeder {
	list := e.seeders.get()
	return list[min(1, len(list)):]
}

// turnTo connects to far peers.
func (e *Engine) turnTo(f *entry, peers []netip.AddrPort) {
	e.log.Warn("nothing comes from the own seeder and from nodes near: turning to others", "system", f.layout.name, "peers", peers, "trouble", f.trouble.String())
	f.reach.signal()
	e.dial(f, peers)
}

// turnBack ends what turnTo began.
func (e *Engine) turnBack(f *entry) {
	dialled := f.reach.back()
	f.reach.signal()
	for _, pc := range e.conns.of(f, dialled) {
		_ = pc.Close()
	}
	e.log.Info("near peers are back: far ones are left", "system", f.layout.name)
}

package sim

import (
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

const (
	// soon is when the second announce follows the first (internal/swarm).
	soon = 1500 * time.Millisecond
	// halfOpen is the most dials of a node at a time (internal/swarm).
	halfOpen = 100
	// proof is how long the library lets a connection be useless that others want the place of.
	proof = time.Minute
)

// start is a node coming up: it dials the seeder, and announces itself.
func (r *room) start(d *node) {
	d.up, d.started = true, r.now
	d.picker = pick.New(d.id, d)
	r.refill(d)
	r.announce(d)
	r.add(event{at: r.now + refillTime, kind: kindTick, node: d.index})
}

func (r *room) announce(d *node) {
	if d.complete { // it announces, but need not dial
		r.trackerOf(d).count(r.now)
		return
	}
	d.announced++
	d.reserve = append(r.trackerOf(d).announce(d, r.now), d.reserve...)
	if len(d.reserve) > 500 { // the library's TorrentPeersHighWater
		d.reserve = d.reserve[:500]
	}
	r.dial(d)
	pause := r.Interval
	if d.announced == 1 {
		pause = min(pause, soon)
	}
	r.add(event{at: r.now + pause, kind: kindAnnounce, node: d.index})
}

// dial tries the peers it knows while there is room for more connections.
func (r *room) dial(d *node) {
	for len(d.reserve) > 0 && d.dialling < halfOpen && len(d.pipes) < d.limit && !d.complete {
		u := r.nodes[d.reserve[0]]
		d.reserve = d.reserve[1:]
		if d.fromPeer(u) == nil {
			d.dialling++
			r.add(event{at: r.now + dialDelays*r.Delay, kind: kindConnect, node: d.index, other: u.index})
		}
	}
}

// connect is d's dial, which ends in a connection if both have room for it.
func (r *room) connect(d, u *node) {
	d.dialling--
	switch {
	case d.fromPeer(u) != nil || d.complete && u.complete:
	case !r.admit(d, true):
	case !r.admit(u, false):
		if u.seederOf(d) {
			r.refused++
		}
	default:
		r.join(d, u)
	}
	r.dial(d)
}

// admit reports whether n has room for a connection, if need be in the place of another (the library's worstBadConn): of
// the direction there are too many of, or of one that has brought nothing for long.
func (r *room) admit(n *node, outgoing bool) bool {
	if len(n.pipes) < n.limit {
		return true
	}
	out := 0
	for _, p := range n.pipes {
		if p.dialled {
			out++
		}
	}
	in := len(n.pipes) - out
	swap := outgoing && in-out > 1 || !outgoing && out-in > 1
	var worst *pipe
	for _, p := range n.pipes {
		useful := max(p.useful, p.back.useful)
		bad := swap && p.dialled != outgoing || r.now-max(p.opened, useful) > proof
		if bad && (worst == nil || useful < max(worst.useful, worst.back.useful)) {
			worst = p
		}
	}
	if worst == nil {
		return false
	}
	r.disconnect(worst)
	return true
}

// join connects two nodes; d has dialled.
func (r *room) join(d, u *node) {
	now := epoch.Add(r.now)
	p := &pipe{from: u, to: d, depth: pick.NewQueue(now), opened: r.now, dialled: true}
	p.back = &pipe{from: d, to: u, back: p, depth: pick.NewQueue(now), opened: r.now}
	for _, p := range []*pipe{p, p.back} {
		p.to.pipes = append(p.to.pipes, p)
		p.to.deep[0]++
		r.meet(p.to, p.from, 1)
	}
	if u.seederOf(d) {
		r.peers = max(r.peers, len(u.pipes))
	}
	r.fill(p)
	r.fill(p.back)
}

// disconnect ends a connection: what was asked for will be asked for elsewhere.
func (r *room) disconnect(p *pipe) {
	for _, p := range []*pipe{p, p.back} {
		d := p.to
		p.closed = true
		d.pipes = slices.DeleteFunc(d.pipes, func(q *pipe) bool { return q == p })
		d.deep[min(p.asked, maxDepth-1)]--
		r.meet(d, p.from, -1)
		for p.queue.len() > 0 {
			q := p.queue.pop()
			d.release(q.piece, q.block)
			if !d.complete {
				r.fillAll(d, int(q.piece))
			}
		}
		if !d.complete {
			r.dial(d)
		}
	}
}

// meet has d take u into account, or no longer.
func (r *room) meet(d, u *node, by int) {
	if d.complete {
		return
	}
	d.rivalsStale = true
	if u.complete && u.knownAll() {
		if !u.seederOf(d) {
			d.outside(by)
		}
		return
	}
	if r.apart(u, d) {
		if d.mirror {
			return
		}
		if d.mirrored, d.offered = u, r.Rule == AsOffered; by < 0 {
			d.mirrored = nil
		}
		return
	}
	for i := range d.availability {
		if u.known.has(i) {
			d.availability[i] += uint16(by)
			d.open.add(i)
		}
	}
}

// apart reports whether u, which looks for its share, leaves d out: its seeder that has not all, or one that takes u for its seeder.
func (r *room) apart(d, u *node) bool {
	return r.Rule != AsPeer && !d.seeder && (d.seederOf(u) || u.seederOf(d))
}

// outside counts the complete peers besides the seeder: what they have is everything.
func (d *node) outside(by int) {
	if d.elsewhere += by; d.elsewhere > 0 {
		for i := range d.open {
			d.open[i] = ^uint64(0)
		}
	}
}

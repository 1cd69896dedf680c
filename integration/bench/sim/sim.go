package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// dialDelays is how many delays it takes from a dial to the first request: TCP's handshake, BitTorrent's and the bitfield.
const dialDelays = 6

// room is a run. The seeder is node 0, mirrors follow, then nodes.
type room struct {
	*Scenario
	clock
	rand  *rand.Rand
	nodes []*node
	racks []rack
	// trackers are the seeder's and those of the mirrors.
	trackers []*tracker
	left     int // nodes that have not all yet
	refused  int // dials that seeders turned away
	peers    int // most connections that one had
	events   int64
}

// rack is the two directions of a rack's uplink.
type rack struct{ out, in link }

// lookEvery is after how many events a run looks whether it was interrupted.
const lookEvery = 10_000

// Run simulates a scenario to the end. It is an error if not all nodes get the image within an hour of virtual time.
func Run(ctx context.Context, s Scenario) (Result, error) {
	if err := s.check(); err != nil {
		return Result{}, fmt.Errorf("simulate %q: %w", s.Name, err)
	}
	began := time.Now()
	r := newRoom(&s)
	for r.left > 0 {
		e, ok := r.next()
		if !ok || e.at > time.Hour {
			return Result{}, fmt.Errorf("simulate %q: %d of %d nodes have not got the image after %s", s.Name, r.left, s.Nodes, r.now)
		}
		if r.events%lookEvery == 0 && ctx.Err() != nil {
			return Result{}, fmt.Errorf("simulate %q: %w", s.Name, context.Cause(ctx))
		}
		r.events++
		r.handle(e)
	}
	res := r.result()
	res.WallS = time.Since(began).Seconds()
	return res, nil
}

func newRoom(s *Scenario) *room {
	r := &room{Scenario: s, rand: rand.New(rand.NewPCG(s.Seed, 5)), left: s.Nodes, nodes: []*node{newSeeder(s)}}
	for range s.Racks {
		r.racks = append(r.racks, rack{newLink(s.Uplink), newLink(s.Uplink)})
	}
	r.trackers = append(r.trackers, newTracker(s, r.rand, 0))
	if s.Mirrors {
		for i := range s.Racks {
			r.nodes, r.trackers = append(r.nodes, newMirror(1+i, s)), append(r.trackers, newTracker(s, r.rand, int32(1+i)))
		}
	}
	for range s.Nodes {
		r.nodes = append(r.nodes, newNode(len(r.nodes), s))
	}
	for i, d := range r.nodes[1:] {
		binary.BigEndian.PutUint64(d.id[8:], r.rand.Uint64())
		binary.BigEndian.PutUint32(d.id[16:], r.rand.Uint32())
		at := time.Duration(r.rand.Int64N(int64(s.Spread) + 1))
		if d.mirror {
			at = 0 // it runs for long
		}
		if !d.complete {
			r.add(event{at: at, kind: kindStart, node: int32(1 + i)})
		}
	}
	return r
}

// clients are the nodes, and trackerOf is whom one asks.
func (r *room) clients() []*node { return r.nodes[len(r.trackers):] }

func (r *room) trackerOf(d *node) *tracker {
	if !r.Mirrors || d.mirror {
		return r.trackers[0]
	}
	return r.trackers[1+d.rack]
}

func (r *room) handle(e event) {
	n := r.nodes[e.node]
	switch e.kind {
	case kindStart:
		r.start(n)
	case kindAnnounce:
		r.announce(n)
	case kindConnect:
		r.connect(n, r.nodes[e.other])
	case kindTick:
		r.tick(n)
	case kindKick:
		r.serve(n)
	case kindSent:
		n.sending = false
		r.sent(e)
		r.serve(n)
	case kindUplink:
		r.toRack(e)
	case kindRack:
		r.toNode(e)
	case kindArrived:
		r.arrived(e)
	case kindHave:
		r.tell(n, int(e.piece))
	}
}

// serve has n's upload link begin with the next block that was asked for, in turn among its connections.
func (r *room) serve(n *node) {
	if n.sending {
		return
	}
	soonest := time.Duration(-1)
	for range n.turns.len() {
		p := n.turns.pop()
		if p.closed || p.queue.len() == 0 {
			p.waiting = false
			continue
		}
		if ready := p.queue.front().ready; ready > r.now {
			n.turns.push(p)
			if soonest < 0 || ready < soonest {
				soonest = ready
			}
			continue
		}
		q := p.queue.pop()
		if p.waiting = p.queue.len() > 0; p.waiting {
			n.turns.push(p)
		}
		n.sending = true
		first, last := n.upload.pass(r.now, r.now)
		r.add(event{at: last, first: first, kind: kindSent, node: n.index, pipe: p, piece: q.piece, block: q.block})
		return
	}
	if soonest >= 0 && n.kicked != soonest {
		n.kicked = soonest
		r.add(event{at: soonest, kind: kindKick, node: n.index})
	}
}

// sent passes a block that has left its sender on to the next link.
func (r *room) sent(e event) {
	from, to := e.pipe.from, e.pipe.to
	switch {
	case r.Uplink == 0 || from.rack == to.rack:
		r.toNode(e)
	case from.rack < 0:
		r.toRack(e)
	default:
		e.first, e.at = r.racks[from.rack].out.pass(e.first, e.at)
		e.kind = kindUplink
		r.add(e)
	}
}

func (r *room) toRack(e event) {
	e.first, e.at = r.racks[e.pipe.to.rack].in.pass(e.first, e.at)
	e.kind = kindRack
	r.add(e)
}

func (r *room) toNode(e event) {
	e.first, e.at = e.pipe.to.download.pass(e.first, e.at)
	e.at += r.Delay
	e.kind = kindArrived
	r.add(e)
}

// arrived is a block at its receiver.
func (r *room) arrived(e event) {
	p, d := e.pipe, e.pipe.to
	if p.closed { // it was lost with the connection
		d.release(e.piece, e.block)
		r.fillAll(d, int(e.piece))
		return
	}
	d.count(p, -1)
	d.blocks++
	p.useful = r.now
	p.depth.Received(blockSize, epoch.Add(r.now))
	i := int(e.piece)
	if d.missing[i]>>e.block&1 == 0 {
		d.wasted++
		r.fill(p)
		return
	}
	if d.window.has(i) {
		d.wanted--
	}
	d.missing[i] &^= 1 << e.block
	d.partial.add(i)
	if d.missing[i] == 0 {
		r.completed(d, i)
	}
	r.fill(p)
}

// epoch is when virtual time begins.
var epoch = time.Unix(0, 0)

// completed is a piece that is there.
func (r *room) completed(d *node, i int) {
	d.has.add(i)
	d.partial.remove(i)
	d.high.remove(i)
	d.window.remove(i)
	d.left--
	r.add(event{at: r.now + r.Delay, kind: kindHave, node: d.index, piece: uint16(i)})
	if d.left > 0 {
		r.refill(d)
		return
	}
	if d.complete, d.finished = true, r.now; !d.mirror {
		r.left--
	}
	// Peers learn of it with the last piece; connections that have become useless end then.
}

// tell has d's peers know of a piece it has, and ask for it.
func (r *room) tell(d *node, i int) {
	d.known.add(i)
	d.told++
	for _, in := range slices.Clone(d.pipes) {
		u, p := in.from, in.back // p brings to u what d has
		if u.complete {
			if d.complete {
				r.disconnect(in)
			}
			continue
		}
		if r.apart(d, u) {
			r.offer(d, u, p, i)
			continue
		}
		u.availability[i]++
		u.open.add(i)
		if u.held.has(i) {
			r.refill(u)
		}
		if !u.has.has(i) {
			r.fill(p)
		}
		if d.complete && d.knownAll() {
			r.leftCrowd(u, d)
		}
	}
}

// offer has u take up that its mirror has a piece.
func (r *room) offer(d, u *node, p *pipe, i int) {
	if u.mirror {
		return
	}
	if d.complete && d.knownAll() {
		u.mirrored, u.rivalsStale = nil, true
	}
	if u.offered && !u.has.has(i) && u.availability[i] == 0 {
		r.refill(u)
	}
	if !u.has.has(i) {
		r.fill(p)
	}
}

// leftCrowd has u no longer count d, which has become complete, among its rivals.
func (r *room) leftCrowd(u, d *node) {
	u.rivalsStale = true
	if !d.seederOf(u) {
		u.outside(+1)
	}
	for i := range u.availability {
		u.availability[i]--
	}
}

// tick has the picker look again.
func (r *room) tick(d *node) {
	if d.complete {
		return
	}
	r.refill(d)
	r.add(event{at: r.now + refillTime, kind: kindTick, node: d.index})
}

// fillAll has all connections over which piece i can be had ask for it.
func (r *room) fillAll(d *node, i int) {
	for _, p := range d.pipes {
		if p.from.known.has(i) {
			r.fill(p)
		}
	}
}

// fill asks for as much as p's queue is deep.
func (r *room) fill(p *pipe) {
	d := p.to
	if d.complete || p.closed {
		return
	}
	depth := p.most(d.wanted * blockSize)
	for p.asked < depth {
		i, ok := d.next(p.from)
		if ok {
			r.ask(p, uint16(i), d.take(i))
			continue
		}
		if !r.steal(p) {
			return
		}
	}
}

func (r *room) ask(p *pipe, piece uint16, block uint8) {
	p.to.count(p, 1)
	p.queue.push(request{r.now + r.Delay, piece, block})
	if u := p.from; !p.waiting {
		p.waiting = true
		u.turns.push(p)
		if !u.sending {
			r.add(event{at: r.now + r.Delay, kind: kindKick, node: u.index})
		}
	}
}

// steal moves a request to p from the connection that has the most to do, as the library does, if it has not begun.
func (r *room) steal(p *pipe) bool {
	d := p.to
	if d.deepest < p.asked+2 {
		return false
	}
	for _, v := range d.pipes {
		if v.asked < d.deepest || v == p {
			continue
		}
		for k := v.queue.len() - 1; k >= 0; k-- {
			q := v.queue.at(k)
			if !p.from.known.has(int(q.piece)) || d.held.has(int(q.piece)) {
				continue
			}
			v.queue.remove(k)
			d.count(v, -1)
			r.ask(p, q.piece, q.block)
			return true
		}
	}
	return false
}

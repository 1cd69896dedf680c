package lab

import (
	"context"
	"fmt"
	"time"
)

// Cable is what a cable does to frames. The zero Cable is as fast as the machine can, and loses nothing.
type Cable struct {
	// Down, from the switch, and Up, to it, are its speeds in bits per second, payload and headers of Ethernet together; 0 is
	// as fast as the machine can.
	Down, Up float64
	// Loss is the share of the frames that don't arrive, from 0 to below 1, in each direction.
	Loss float64
	// Delay is how long a frame takes in each direction.
	Delay time.Duration
	// VLAN makes the switch's port a tagged one: at this end all frames carry this IEEE 802.1Q tag, and others are not let
	// in; at the switch none do. 0: no tags.
	VLAN int
	// Switch is the name of the switch that it is plugged into; empty: the room's first. See [Room.Switch].
	Switch string
}

// port is where a cable is plugged into a switch.
type port struct {
	sw   namespace
	name string
}

const (
	// queue is how many bytes wait at the switch before packets are dropped: a small switch's buffer for a port.
	queue = 256 << 10
	// hostQueue is how many packets wait at the other end: Linux's txqueuelen for Ethernet. There is next to no loss there, as
	// the kernel lets a connection have only some packets in it (TCP small queues).
	hostQueue = 1000
)

// connect lays a cable from the switch to an interface in ns, and returns the name of the switch's port.
func (r *Room) connect(ns namespace, dev string, c Cable) (p port, err error) {
	r.mu.Lock()
	r.ports++
	p = port{r.switches[c.Switch], fmt.Sprintf("p%d", r.ports)}
	r.mu.Unlock()
	if p.sw == "" {
		return p, fmt.Errorf("the room has no switch %q", c.Switch)
	}
	if c.relayed() {
		err = r.relay(p, ns, dev, c)
	} else {
		err = p.sw.ip(r.ctx, fmt.Sprintf("link add %s type veth peer name %s netns %s", p.name, dev, ns))
	}
	if err != nil {
		return p, err
	}
	if err := p.sw.ip(r.ctx, fmt.Sprintf("link set %s mtu %d master br0 up", p.name, r.mtu)); err != nil {
		return p, err
	}
	if err := ns.ip(r.ctx, fmt.Sprintf("link set %s mtu %d up", dev, r.mtu)); err != nil {
		return p, err
	}
	if err := p.sw.shape(r.ctx, p.name, c.Down); err != nil {
		return p, err
	}
	return p, ns.shapeHost(r.ctx, dev, c.Up)
}

// set makes the port forward frames or drop them.
func (p port) set(ctx context.Context, up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return p.sw.ip(ctx, fmt.Sprintf("link set %s %s", p.name, state))
}

// shapeHost limits what leaves a host through dev.
func (ns namespace) shapeHost(ctx context.Context, dev string, rate float64) error {
	if err := ns.shape(ctx, dev, rate); err != nil || rate == 0 {
		return err
	}
	return ns.tc(ctx, fmt.Sprintf("qdisc replace dev %s parent 1: pfifo limit %d", dev, hostQueue))
}

// shape limits what leaves through dev.
func (ns namespace) shape(ctx context.Context, dev string, rate float64) error {
	if rate == 0 {
		return nil
	}
	// The bucket holds what passes in a millisecond (tc-tbf(8): at least rate/HZ), and some full-sized packets.
	burst := max(20_000, int(rate/8/1000))
	limit := max(queue, 2*burst)
	return ns.tc(ctx, fmt.Sprintf("qdisc replace dev %s root handle 1: tbf rate %.0fbit burst %d limit %d", dev, rate, burst, limit))
}

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
}

const (
	// queue is how many bytes wait at the switch before packets are dropped: a small switch's buffer for a port.
	queue = 256 << 10
	// hostQueue is how many packets wait at the other end: Linux's txqueuelen for Ethernet. There is next to no loss there, as
	// the kernel lets a connection have only some packets in it (TCP small queues).
	hostQueue = 1000
)

// connect lays a cable from the switch to an interface in ns, and returns the name of the switch's port.
func (r *Room) connect(ns namespace, dev string, c Cable) (port string, err error) {
	r.mu.Lock()
	r.ports++
	port = fmt.Sprintf("p%d", r.ports)
	r.mu.Unlock()
	if c.relayed() {
		err = r.relay(port, ns, dev, c)
	} else {
		err = r.sw.ip(r.ctx, fmt.Sprintf("link add %s type veth peer name %s netns %s", port, dev, ns))
	}
	if err != nil {
		return "", err
	}
	if err := r.sw.ip(r.ctx, fmt.Sprintf("link set %s mtu %d master br0 up", port, r.mtu)); err != nil {
		return "", err
	}
	if err := ns.ip(r.ctx, fmt.Sprintf("link set %s mtu %d up", dev, r.mtu)); err != nil {
		return "", err
	}
	if err := r.sw.shape(r.ctx, port, c.Down); err != nil {
		return "", err
	}
	return port, ns.shapeHost(r.ctx, dev, c.Up)
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

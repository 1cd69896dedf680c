package lab

import (
	"context"
	"fmt"
)

// Cable is the speed of a cable in bits per second, payload and headers of Ethernet together; 0 is as fast as the
// machine can. Down is from the switch, Up is to it.
type Cable struct {
	Down, Up float64
}

// queue is how many bytes wait at each end of a cable before packets are dropped: a small switch's buffer for a port.
const queue = 256 << 10

// connect lays a cable from the switch to an interface in ns, and returns the name of the switch's port.
func (r *Room) connect(ns namespace, dev string, c Cable) (port string, err error) {
	r.mu.Lock()
	r.ports++
	port = fmt.Sprintf("p%d", r.ports)
	r.mu.Unlock()
	err = r.sw.ip(r.ctx,
		fmt.Sprintf("link add %s mtu %d type veth peer name %s mtu %d netns %s", port, r.mtu, dev, r.mtu, ns),
		fmt.Sprintf("link set %s master br0 up", port))
	if err != nil {
		return "", err
	}
	if err := ns.ip(r.ctx, fmt.Sprintf("link set %s up", dev)); err != nil {
		return "", err
	}
	if err := r.sw.shape(r.ctx, port, c.Down); err != nil {
		return "", err
	}
	return port, ns.shape(r.ctx, dev, c.Up)
}

// shape limits what leaves through dev.
func (ns namespace) shape(ctx context.Context, dev string, rate float64) error {
	if rate == 0 {
		return nil
	}
	// The bucket holds what passes in a millisecond (tc-tbf(8): at least rate/HZ), and some full-sized packets.
	burst := max(20_000, int(rate/8/1000))
	limit := max(queue, 2*burst)
	return ns.tc(ctx, fmt.Sprintf("qdisc replace dev %s root tbf rate %.0fbit burst %d limit %d", dev, rate, burst, limit))
}

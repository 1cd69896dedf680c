package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Side is a network card of a router: its address with the prefix length, and its cable.
type Side struct {
	Addr  string
	Cable Cable
}

// Router plugs in a host that forwards packets between networks. It has a card for each side, eth0 for the first one.
func (r *Room) Router(name string, first Side, others ...Side) (*Host, error) {
	h, err := r.Host(name, Addr(first.Addr), Wire(first.Cable))
	if err != nil {
		return nil, err
	}
	for i, side := range others {
		dev := fmt.Sprintf("eth%d", i+1)
		_, err := r.connect(h.ns, dev, side.Cable)
		if err == nil {
			err = h.ns.ip(r.ctx, fmt.Sprintf("addr add %s brd + dev %s", side.Addr, dev))
		}
		if err != nil {
			return nil, fmt.Errorf("lab %s: router %s: card %s: %w", r.name, name, dev, err)
		}
	}
	err = h.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) })
	if err != nil {
		return nil, fmt.Errorf("lab %s: router %s: forward packets: %w", r.name, name, err)
	}
	return h, nil
}

// Carried returns what has come in and gone out at a card of the host since it was plugged in, in bytes of Ethernet frames without their
// checksums: payload and all headers, of everything that passed (proc_net(5), /proc/net/dev). The kernel hands on packets of one connection
// together where it can, and counts their headers once then.
func (h *Host) Carried(dev string) (in, out int64, err error) {
	var table []byte
	err = h.Do(func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("counters of host %s: %w", h.Name, err)
	}
	for line := range strings.Lines(string(table)) {
		name, counters, ok := strings.Cut(strings.TrimSpace(line), ":")
		// Eight columns of what was received, beginning with bytes, and then the same of what was sent.
		if fields := strings.Fields(counters); ok && name == dev && len(fields) >= 9 {
			if in, err = strconv.ParseInt(fields[0], 10, 64); err == nil {
				out, err = strconv.ParseInt(fields[8], 10, 64)
			}
			return in, out, err
		}
	}
	return 0, 0, fmt.Errorf("counters of host %s: it has no card %s", h.Name, dev)
}

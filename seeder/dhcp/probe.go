package dhcp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// prober asks the network whether anybody uses an address, by ARP probes (RFC 5227, section 2.1.1): unlike an ICMP echo,
// no host's firewall swallows them. Probes of several addresses may run at once.
type prober struct {
	conn *packet.Conn
	mac  net.HardwareAddr

	mu      sync.Mutex
	waiting map[netip.Addr][]chan net.HardwareAddr
}

// newProber opens a packet socket for ARP on an interface. run must be called for probes to be heard.
func newProber(ifi *net.Interface) (*prober, error) {
	conn, err := packet.Listen(ifi, packet.Datagram, unix.ETH_P_ARP, nil)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket for ARP on %s: %w", ifi.Name, err)
	}
	return &prober{conn: conn, mac: ifi.HardwareAddr, waiting: map[netip.Addr][]chan net.HardwareAddr{}}, nil
}

// close ends run.
func (p *prober) close() error { return p.conn.Close() }

// run reads ARP packets until the prober is closed, and tells those who wait.
func (p *prober) run() {
	buf := make([]byte, 128)
	for {
		n, _, err := p.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		addr, mac, ok := parseARP(buf[:n])
		if !ok || bytes.Equal(mac, p.mac) {
			continue
		}
		p.mu.Lock()
		for _, c := range p.waiting[addr] {
			select {
			case c <- slices.Clone(mac):
			default: // it knows already
			}
		}
		p.mu.Unlock()
	}
}

// probe returns the hardware address of whoever uses addr, or nil if nobody has answered within timeout. It asks twice,
// for a frame can get lost.
func (p *prober) probe(ctx context.Context, addr netip.Addr, timeout time.Duration) (net.HardwareAddr, error) {
	answer := make(chan net.HardwareAddr, 1)
	p.mu.Lock()
	p.waiting[addr] = append(p.waiting[addr], answer)
	p.mu.Unlock()
	defer p.forget(addr, answer)

	request := arpProbe(p.mac, addr)
	for range 2 {
		if _, err := p.conn.WriteTo(request, &packet.Addr{HardwareAddr: broadcastMAC}); err != nil {
			return nil, fmt.Errorf("send an ARP probe for %s: %w", addr, err)
		}
		select {
		case mac := <-answer:
			return mac, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(timeout / 2):
		}
	}
	return nil, nil
}

func (p *prober) forget(addr netip.Addr, answer chan net.HardwareAddr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := slices.DeleteFunc(p.waiting[addr], func(c chan net.HardwareAddr) bool { return c == answer })
	if p.waiting[addr] = rest; len(rest) == 0 {
		delete(p.waiting, addr)
	}
}

// arpHeader starts every ARP packet for IPv4 on Ethernet (RFC 826): hardware 1, protocol 0x0800, lengths 6 and 4.
var arpHeader = []byte{0, 1, 8, 0, 6, 4}

// arpProbe is an ARP request without a sender's IP address, so that nobody's ARP cache changes by it.
func arpProbe(mac net.HardwareAddr, target netip.Addr) []byte {
	p := make([]byte, 28)
	copy(p, arpHeader)
	binary.BigEndian.PutUint16(p[6:], 1) // request
	copy(p[8:], mac)
	t := target.As4()
	copy(p[24:], t[:])
	return p
}

// parseARP returns the sender of an ARP packet, request or reply: whoever says an address is his uses it.
func parseARP(p []byte) (netip.Addr, net.HardwareAddr, bool) {
	if len(p) < 28 || !bytes.HasPrefix(p, arpHeader) {
		return netip.Addr{}, nil, false
	}
	addr, _ := netip.AddrFromSlice(p[14:18])
	return addr, net.HardwareAddr(p[8:14]), !addr.IsUnspecified()
}

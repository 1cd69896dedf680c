package dhcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/mdlayher/packet"

	"github.com/boottorrent/boottorrent/internal/dhcpwire"
)

// others are the answers of the network's own DHCP server, as far as a proxy hears them: those that are sent by broadcast,
// which firmware asks for. They tell whether Debian's GRUB will find the seeder, since it asks the next server (siaddr) of that
// answer and nobody else. The zero value is ready to use.
type others struct {
	mu   sync.Mutex
	next map[string]heard
}

// heard is the next server that a machine was told; invalid if it was told none.
type heard struct {
	next netip.Addr
	at   time.Time
}

// note takes down an answer of another server than own.
func (o *others) note(reply *dhcpv4.DHCPv4, own netip.Addr, now time.Time) {
	t := reply.MessageType()
	if t != dhcpv4.MessageTypeOffer && t != dhcpv4.MessageTypeAck || !addrOf(reply.YourIPAddr).IsValid() || addrOf(reply.ServerIdentifier()) == own {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next == nil || len(o.next) >= maxAttempts {
		o.next = map[string]heard{}
	}
	o.next[string(reply.ClientHWAddr)] = heard{addrOf(reply.ServerIPAddr), now}
}

// names reports whether a machine was told that its next server is own.
func (o *others) names(mac net.HardwareAddr, own netip.Addr, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	h, ok := o.next[string(mac)]
	return ok && h.next == own && now.Sub(h.at) < forgetAfter
}

// named reports whether whoever gives this machine its address names the seeder as its next server.
func (h *handler) named(mac net.HardwareAddr) bool {
	return h.pool != nil || h.others.names(mac, h.addr(), time.Now())
}

// overhear notes what other DHCP servers answer, until ctx ends or the socket is closed.
func (h *handler) overhear(ctx context.Context, conn *packet.Conn) {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := conn.ReadFrom(buf)
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		case err != nil: // the interface went down; it may come back
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		payload, _, _, ok := parseDatagram(buf[:n])
		if !ok {
			continue
		}
		if reply, err := dhcpwire.Read(payload); err == nil && reply.OpCode == dhcpv4.OpcodeBootReply {
			h.others.note(reply, h.addr(), time.Now())
		}
	}
}

// Package wol wakes machines by their network cards: in go MAC addresses and the interfaces to send on, out go magic packets, as AMD's
// "Magic Packet Technology" (publication 20213, 1995) describes them: six bytes 0xff, and the MAC address sixteen times. They go as UDP
// broadcasts to port 9 (discard), which cards that sleep see without any address of their own.
package wol

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	port = 9
	// rounds is how often each packet is sent, as UDP may lose one, with pause in between.
	rounds = 2
	pause  = 100 * time.Millisecond
	// burst is after how many packets there is a pause: a switch drops what comes faster than its slowest port takes it.
	burst = 100
)

// Interface is one to send on.
type Interface struct {
	Name string
	// Addr is the one that packets come from.
	Addr netip.Addr
}

// Sent is what became of the packets on an interface.
type Sent struct {
	Interface string `json:"interface"`
	// Error says why they could not be sent; empty: they were. Whether a machine woke nobody tells.
	Error string `json:"error,omitempty"`
}

// Packet is the magic packet for a card.
func Packet(mac net.HardwareAddr) []byte {
	return append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...)
}

// Send sends packets for all cards on all interfaces, and returns how it went on each.
func Send(ctx context.Context, on []Interface, macs []net.HardwareAddr) []Sent {
	sent := make([]Sent, 0, len(on))
	for _, i := range on {
		s := Sent{Interface: i.Name}
		if err := send(ctx, i, macs); err != nil {
			s.Error = err.Error()
		}
		sent = append(sent, s)
	}
	return sent
}

func send(ctx context.Context, on Interface, macs []net.HardwareAddr) error {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		// A broadcast to 255.255.255.255 goes where the route does, which may be another interface.
		outer := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), on.Name) })
		if outer != nil {
			return outer
		}
		return err
	}}
	conn, err := config.ListenPacket(ctx, "udp4", netip.AddrPortFrom(on.Addr, 0).String())
	if err != nil {
		return fmt.Errorf("wake on %s: %w", on.Name, err)
	}
	defer conn.Close()
	to := &net.UDPAddr{IP: net.IPv4bcast, Port: port}
	for round := range rounds {
		for n, mac := range macs {
			if (round > 0 && n == 0) || (n > 0 && n%burst == 0) {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(pause):
				}
			}
			if _, err := conn.WriteTo(Packet(mac), to); err != nil {
				return fmt.Errorf("wake on %s: %w", on.Name, err)
			}
		}
	}
	return nil
}

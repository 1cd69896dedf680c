package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"github.com/boottorrent/boottorrent/internal/dhcpwire"
)

// proxyWait is how long to wait for a proxyDHCP's offer after the first with an address. A proxy on the same LAN
// answers in milliseconds, one behind a relay in tens.
const proxyWait = 500 * time.Millisecond

// errRefused is a server's NAK.
var errRefused = errors.New("the server refused (NAK)")

// conversation speaks DHCP on one interface. nclient4's own Client takes the first offer and drops the rest, and
// doubles its waiting time; here offers are collected and the pace is kept, so only its raw socket is used.
type conversation struct {
	conn net.PacketConn
	// to is where messages go.
	to      net.Addr
	id      identity
	replies chan *dhcpv4.DHCPv4
	// closed ends the reader.
	closed chan struct{}
}

// openRaw begins a conversation on an interface that needs no address.
func openRaw(ifname string, id identity) (*conversation, error) {
	conn, err := nclient4.NewRawUDPConn(ifname, nclient4.ClientPort)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket on %s: %w", ifname, err)
	}
	return converse(conn, nclient4.DefaultServers, id), nil
}

func converse(conn net.PacketConn, to net.Addr, id identity) *conversation {
	c := &conversation{conn: conn, to: to, id: id, replies: make(chan *dhcpv4.DHCPv4), closed: make(chan struct{})}
	go c.read()
	return c
}

// Close ends the conversation.
func (c *conversation) Close() error {
	close(c.closed)
	return c.conn.Close()
}

// read passes on what is meant for this node until the connection is closed.
func (c *conversation) read() {
	buf := make([]byte, maxMessage)
	for {
		n, _, err := c.conn.ReadFrom(buf)
		if err != nil {
			select {
			case <-c.closed:
				return
			case <-time.After(100 * time.Millisecond):
				// ENETDOWN while the link is restarted; it passes.
				continue
			}
		}
		p, ok := parseReply(buf[:n], c.id.mac)
		if !ok {
			continue
		}
		select {
		case c.replies <- p:
		case <-c.closed:
			return
		}
	}
}

// parseReply reads a server's message to the node with that address.
func parseReply(b []byte, mac net.HardwareAddr) (*dhcpv4.DHCPv4, bool) {
	p, err := dhcpwire.Read(b)
	if err != nil || p.OpCode != dhcpv4.OpcodeBootReply || !bytes.Equal(p.ClientHWAddr, mac) {
		return nil, false
	}
	return p, true
}

// pace is the time to wait for an answer to the n-th try, the first being 1. A switch port that waits for the spanning
// tree swallows the first 30 to 50 seconds; it must not be followed by a long pause, so the pace stays quick. The
// random part keeps a room that was switched on at once from asking in step (RFC 2131, 4.1).
func pace(n int) time.Duration {
	base := [...]time.Duration{2 * time.Second, 3 * time.Second, 4 * time.Second}
	return base[min(n-1, len(base)-1)] - 250*time.Millisecond + rand.N(500*time.Millisecond)
}

// backoff is how long to wait before asking anew after the n-th failure in a row, the first being 1: a server that refuses what
// it offers is not to be asked in a busy loop.
func backoff(n int) time.Duration { return retryPause << min(n-1, 3) }

// discover asks for an address until one is offered or ctx ends, and calls trying before each try, from 1.
func (c *conversation) discover(ctx context.Context, trying func(n int)) (offers, error) {
	start := time.Now()
	message := c.id.discover()
	var o offers
	for n := 1; ; n++ {
		trying(n)
		message.NumSeconds = uint16(min(time.Since(start)/time.Second, 1<<16-1))
		// An error (the link is down for a moment) is like a message that got lost.
		_, _ = c.conn.WriteTo(message.ToBytes(), c.to)
		if c.collect(ctx, message.TransactionID, time.After(pace(n)), &o) {
			return o, nil
		}
		if err := ctx.Err(); err != nil {
			return offers{}, err
		}
	}
}

// collect gathers offers until there is an address and nothing better to wait for, or the time for this try is over.
func (c *conversation) collect(ctx context.Context, xid dhcpv4.TransactionID, over <-chan time.Time, o *offers) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-over:
			return o.address != nil
		case p := <-c.replies:
			if p.TransactionID != xid || !o.add(p) {
				continue
			}
			if o.complete() {
				return true
			}
			if p == o.address {
				over = time.After(proxyWait)
			}
		}
	}
}

// confirm sends a REQUEST, again and again until ctx ends, and returns the ACK; a NAK is errRefused. Where a server was asked, a
// NAK from another doesn't count: in networks with two servers each refuses what the other offers.
func (c *conversation) confirm(ctx context.Context, message *dhcpv4.DHCPv4, server netip.Addr, every time.Duration) (*dhcpv4.DHCPv4, error) {
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		_, sendErr := c.conn.WriteTo(message.ToBytes(), c.to)
	waiting:
		for {
			select {
			case <-ctx.Done():
				return nil, errors.Join(fmt.Errorf("no answer: %w", ctx.Err()), sendErr)
			case <-again.C:
				break waiting
			case p := <-c.replies:
				if p.TransactionID != message.TransactionID {
					continue
				}
				switch p.MessageType() {
				case dhcpv4.MessageTypeAck:
					return p, nil
				case dhcpv4.MessageTypeNak:
					if by := (facts{p.Options}).server(); by.IsValid() && server.IsValid() && by != server {
						continue
					}
					return nil, fmt.Errorf("%w: %s", errRefused, p.Message())
				}
			}
		}
	}
}

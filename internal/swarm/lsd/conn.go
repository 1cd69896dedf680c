package lsd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// Conn takes part in the group on the interface that has an address.
type Conn struct {
	in, out *net.UDPConn
	subnet  netip.Prefix
}

// Listen joins the group (IGMP) on the interface that has the address, for as long as it has it. Searches go out from that address
// and no further than its link.
func Listen(own netip.Addr) (*Conn, error) {
	card, subnet, err := interfaceOf(own)
	if err != nil {
		return nil, err
	}
	in, err := net.ListenMulticastUDP("udp4", card, net.UDPAddrFromAddrPort(Group))
	if err != nil {
		return nil, fmt.Errorf("join the multicast group %s on %s: %w", Group, card.Name, err)
	}
	out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: own.AsSlice()})
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	c := &Conn{in: in, out: out, subnet: subnet}
	p := ipv4.NewPacketConn(out)
	// Another process of this machine may take part as well, so searches come back here, too.
	if err := errors.Join(p.SetMulticastInterface(card), p.SetMulticastTTL(1), p.SetMulticastLoopback(true)); err != nil {
		return nil, errors.Join(fmt.Errorf("multicast from %s on %s: %w", own, card.Name, err), c.Close())
	}
	return c, nil
}

// interfaceOf is the interface that has an address, and the subnet there.
func interfaceOf(own netip.Addr) (*net.Interface, netip.Prefix, error) {
	cards, err := net.Interfaces()
	if err != nil {
		return nil, netip.Prefix{}, err
	}
	for _, card := range cards {
		addrs, err := card.Addrs()
		if err != nil {
			continue // it has gone meanwhile
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == own {
				return &card, p.Masked(), nil
			}
		}
	}
	return nil, netip.Prefix{}, fmt.Errorf("no interface has the address %s", own)
}

// Send multicasts a search.
func (c *Conn) Send(s Search) error {
	_, err := c.out.WriteToUDPAddrPort(s.Encode(), Group)
	return err
}

// Receive returns the next search of somebody in the same subnet, and the address it came from. What is no search is dropped. The
// error is net.ErrClosed after Close.
func (c *Conn) Receive() (Search, netip.Addr, error) {
	buffer := make([]byte, MaxMessage+1)
	for {
		n, from, err := c.in.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return Search{}, netip.Addr{}, err
		}
		addr := from.Addr().Unmap()
		if !c.subnet.Contains(addr) {
			continue
		}
		if s, err := Parse(buffer[:n]); err == nil {
			return s, addr, nil
		}
	}
}

// Close leaves the group.
func (c *Conn) Close() error { return errors.Join(c.in.Close(), c.out.Close()) }

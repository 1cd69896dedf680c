package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/hardware"
)

// Keep renews a lease until ctx ends, as RFC 2131, 4.4.5 says: at its renewal time by asking the server that gave it, at
// its rebinding time by asking any, and when it is refused or has run out by giving the address back and asking for a new
// one. Call it right after [Up], in a goroutine, or with a lease that is as old by [Lease.After]. ev gets messages for the screen, changed each new lease, whose address may
// be another. It returns at once for a static configuration and for a lease that never ends.
func Keep(ctx context.Context, lease Lease, ev func(string), changed func(Lease)) {
	keep(ctx, lease, ev, changed, thisHost(), hardware.ReadFacts().UUID)
}

func keep(ctx context.Context, lease Lease, ev func(string), changed func(Lease), h host, uuid string) {
	k := &keeper{host: h, ev: ev, id: identity{mac: lease.MAC, uuid: uuid, hostname: lease.name()}}
	for lease.Duration > 0 && lease.Duration < forever && ctx.Err() == nil {
		next, err := k.extend(ctx, lease, time.Now())
		if err != nil && ctx.Err() == nil {
			ev(fmt.Sprintf("%s: the address %s is lost: %v; asking for a new one", lease.Interface, lease.Addr, err))
			next, err = k.replace(ctx, lease)
		}
		if err != nil {
			continue
		}
		if next.Addr != lease.Addr {
			ev(describe(next))
		}
		lease = next
		changed(lease)
	}
}

type keeper struct {
	host host
	ev   func(string)
	id   identity
}

// extend waits until it is time, and asks for more; the error says why the lease has ended.
func (k *keeper) extend(ctx context.Context, l Lease, begun time.Time) (Lease, error) {
	end, rebind := begun.Add(l.Duration), begun.Add(l.Rebind)
	if !sleep(ctx, time.Until(begun.Add(l.Renew))) {
		return Lease{}, ctx.Err()
	}
	for now := time.Now(); now.Before(end); now = time.Now() {
		open, phaseEnd := opener(k.toServer), rebind
		if !now.Before(rebind) {
			open, phaseEnd = k.toAll, end
		}
		// RFC 2131: again after half of what remains, but not more often than every 60 s. What remains may be less.
		try := min(max(phaseEnd.Sub(now)/2, time.Minute), phaseEnd.Sub(now))
		next, err := k.askMore(ctx, l, open, now.Add(try))
		if err == nil || errors.Is(err, errRefused) || ctx.Err() != nil {
			return next, err
		}
		k.ev(fmt.Sprintf("%s: the lease of %s was not renewed (%v); it ends in %s", l.Interface, l.Addr, err,
			time.Until(end).Round(time.Second)))
		if !sleep(ctx, time.Until(now.Add(try))) {
			return Lease{}, ctx.Err()
		}
	}
	return Lease{}, errors.New("it was not renewed in time")
}

// sleep waits and says whether ctx was still alive at the end.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// opener begins a conversation, with one server or, where that is zero, with all.
type opener func(Lease) (talk *conversation, server netip.Addr, err error)

// askMore sends one REQUEST, repeated after 4 s in case it got lost, and configures what comes back.
func (k *keeper) askMore(ctx context.Context, l Lease, open opener, until time.Time) (Lease, error) {
	if limit := time.Now().Add(10 * time.Second); limit.Before(until) {
		until = limit
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	talk, server, err := open(l)
	if err != nil {
		return Lease{}, err
	}
	defer talk.Close()
	ack, err := talk.confirm(ctx, k.id.renew(l.Addr.Addr()), server, 4*time.Second)
	if err != nil {
		return Lease{}, err
	}
	next, err := l.renewed(ack)
	if err != nil {
		return Lease{}, err
	}
	return next, k.host.configure(next, k.ev)
}

// toServer speaks to the server that gave the lease, from the node's address.
func (k *keeper) toServer(l Lease) (*conversation, netip.Addr, error) {
	if !l.Server.IsValid() {
		return k.toAll(l) // it gave a lease without its address
	}
	// On the device the socket needs no route of another.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var bindErr error
		err := c.Control(func(fd uintptr) { bindErr = unix.BindToDevice(int(fd), l.Interface) })
		return errors.Join(err, bindErr)
	}}
	local := netip.AddrPortFrom(l.Addr.Addr(), nclient4.ClientPort)
	out, err := lc.ListenPacket(context.Background(), "udp4", local.String())
	if err != nil {
		return nil, netip.Addr{}, fmt.Errorf("ask %s for more time: %w", l.Server, err)
	}
	in, err := nclient4.NewRawUDPConn(l.Interface, nclient4.ClientPort)
	if err != nil {
		out.Close()
		return nil, netip.Addr{}, fmt.Errorf("open a raw socket on %s: %w", l.Interface, err)
	}
	server := net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.Server, nclient4.ServerPort))
	return converse(unicast{in, out}, server, k.id), l.Server, nil
}

// unicast sends from the node's address and hears everything: an ACK comes to that address, but a NAK is broadcast
// (RFC 2131, 4.3.2), which a socket bound to an address doesn't get.
type unicast struct {
	net.PacketConn
	out net.PacketConn
}

// WriteTo implements net.PacketConn.
func (u unicast) WriteTo(b []byte, to net.Addr) (int, error) { return u.out.WriteTo(b, to) }

// Close implements net.PacketConn.
func (u unicast) Close() error { return errors.Join(u.out.Close(), u.PacketConn.Close()) }

// toAll speaks to any server.
func (k *keeper) toAll(l Lease) (*conversation, netip.Addr, error) {
	talk, err := openRaw(l.Interface, k.id)
	return talk, netip.Addr{}, err
}

// replace gives the address back and gets a new lease on the same interface; it goes on until ctx ends.
func (k *keeper) replace(ctx context.Context, l Lease) (Lease, error) {
	if link, err := netlink.LinkByName(l.Interface); err == nil {
		if err := clearAddresses(link, netip.Prefix{}); err != nil {
			k.ev(err.Error())
		}
	}
	for try := 1; ; try++ {
		next, err := k.fresh(ctx, l)
		if err == nil || ctx.Err() != nil {
			return next, err
		}
		k.ev(fmt.Sprintf("%s: %v; asking again", l.Interface, err))
		if !sleep(ctx, backoff(try)) {
			return Lease{}, ctx.Err()
		}
	}
}

// fresh goes through DISCOVER and REQUEST once.
func (k *keeper) fresh(ctx context.Context, l Lease) (Lease, error) {
	talk, _, err := k.toAll(l)
	if err != nil {
		return Lease{}, err
	}
	defer talk.Close()
	o, err := talk.discover(ctx, func(int) {})
	if err != nil {
		return Lease{}, err
	}
	return takeOffer(ctx, k.host, talk, o, l, k.ev)
}

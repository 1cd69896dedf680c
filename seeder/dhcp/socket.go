package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/mdlayher/packet"

	"github.com/boottorrent/boottorrent/seeder/port"
)

// link is an interface's sockets.
type link struct {
	h     *handler
	ports []endpoint
	// prober probes addresses; nil in proxy mode.
	prober addressProber
	// finder finds other DHCP servers.
	finder serverFinder
	// overheard is where a proxy hears what other servers answer; nil in server mode.
	overheard *packet.Conn
}

// serverFinder finds the other DHCP servers of a network; finder is the real one.
type serverFinder interface {
	find(ctx context.Context, wait time.Duration) ([]netip.Addr, error)
	close() error
}

// addressProber finds out who uses an address; prober is the real one.
type addressProber interface {
	run()
	probe(ctx context.Context, addr netip.Addr, timeout time.Duration) (net.HardwareAddr, error)
	close() error
}

// endpoint is a socket that hears one UDP port of one interface.
type endpoint interface {
	// number is the port's.
	number() int
	// read returns the payload of the next datagram, in buf, and where it came from.
	read(buf []byte) ([]byte, source, error)
	// send sends a reply to a request that came from src.
	send(payload []byte, d delivery, src source) error
	close() error
}

// source is where a datagram came from. The kernel's UDP sockets don't tell the hardware address.
type source struct {
	addr netip.AddrPort
	mac  net.HardwareAddr
}

// openLink opens the sockets of an interface.
func openLink(ctx context.Context, h *handler) (*link, error) {
	ifi, err := net.InterfaceByName(h.iface.Name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", h.iface.Name, err)
	}
	l := &link{h: h}
	if h.pool != nil {
		err = l.openServer(ctx, ifi)
	} else {
		err = l.openProxy(ctx, ifi)
	}
	if err == nil {
		var f *finder
		if f, err = newFinder(ifi, h.addr()); err == nil {
			l.finder = f
		}
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// openServer takes port 67 for itself: two DHCP servers on one interface do harm.
func (l *link) openServer(ctx context.Context, ifi *net.Interface) error {
	conn, err := listenUDP(ctx, ifi, netip.IPv4Unspecified(), serverPort, func(p *port.Process) string {
		return p.Stop() + ", or set dhcp: mode: proxy in boottorrent.yaml to work beside it"
	})
	if err != nil {
		return err
	}
	p := &udpPort{conn: ipv4.NewPacketConn(conn), from: l.from(serverPort), ifi: ifi}
	l.ports = append(l.ports, p)
	if p.raw, err = openPacket(ifi, sendOnly); err != nil {
		return err
	}
	prober, err := newProber(ifi)
	if err == nil {
		l.prober = prober
	}
	return err
}

// openProxy listens beside a DHCP server, which may run on this very machine and have port 67 for itself.
func (l *link) openProxy(ctx context.Context, ifi *net.Interface) error {
	conn, err := openPacket(ifi, toPort(ifi.Index, serverPort))
	if err != nil {
		return err
	}
	l.ports = append(l.ports, &packetPort{conn: conn, from: l.from(serverPort), subnet: lastOf(l.h.iface.Addr)})
	if l.overheard, err = openPacket(ifi, toPort(ifi.Index, clientPort)); err != nil {
		return err
	}
	pxe, err := listenUDP(ctx, ifi, l.h.addr(), pxePort, func(p *port.Process) string {
		if p != nil && p.Name == "dnsmasq" {
			return "remove pxe-service, pxe-prompt and \"proxy\" from dnsmasq's configuration and restart it: an interface can have only one PXE service"
		}
		return p.Stop() + ": an interface can have only one PXE service"
	})
	if err != nil {
		return err
	}
	l.ports = append(l.ports, &udpPort{conn: ipv4.NewPacketConn(pxe), from: l.from(pxePort), ifi: ifi})
	return nil
}

func (l *link) from(port uint16) netip.AddrPort { return netip.AddrPortFrom(l.h.addr(), port) }

// close closes the sockets, which ends every read on them.
func (l *link) close() {
	// Errors of closing are of no use: nothing is buffered.
	for _, p := range l.ports {
		_ = p.close()
	}
	if l.prober != nil {
		_ = l.prober.close()
	}
	if l.finder != nil {
		_ = l.finder.close()
	}
	if l.overheard != nil {
		_ = l.overheard.Close()
	}
}

// listenUDP opens a UDP socket that hears one interface, and shares its port with nobody there. remedy says what to do about the
// process that has the port.
func listenUDP(ctx context.Context, ifi *net.Interface, addr netip.Addr, number uint16, remedy func(*port.Process) string) (net.PacketConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var bound error
		err := c.Control(func(fd uintptr) { bound = unix.BindToDevice(int(fd), ifi.Name) })
		return errors.Join(err, bound)
	}}
	at := netip.AddrPortFrom(addr, number)
	conn, err := config.ListenPacket(ctx, "udp4", at.String())
	switch {
	case errors.Is(err, port.ErrInUse):
		return nil, fmt.Errorf("interface %s: %w", ifi.Name, port.Explain(err, "udp", at, remedy))
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on UDP port %d of %s: %w; "+needsRight, number, ifi.Name, err)
	case err != nil:
		return nil, fmt.Errorf("listen on UDP port %d of %s: %w", number, ifi.Name, err)
	}
	return conn, nil
}

// needsRight is what to do where the kernel refuses a socket.
const needsRight = "run the seeder as root, or give it the capabilities CAP_NET_BIND_SERVICE and CAP_NET_RAW (capabilities(7))"

// udpPort is a port that is ours alone: a UDP socket.
type udpPort struct {
	conn *ipv4.PacketConn
	from netip.AddrPort
	ifi  *net.Interface
	// raw sends to clients that have no address yet; nil where there are none.
	raw *packet.Conn
}

func (p *udpPort) number() int { return int(p.from.Port()) }

func (p *udpPort) read(buf []byte) ([]byte, source, error) {
	n, _, addr, err := p.conn.ReadFrom(buf)
	if err != nil {
		return nil, source{}, err
	}
	var src source
	if udp, ok := addr.(*net.UDPAddr); ok {
		ap := udp.AddrPort()
		src.addr = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return buf[:n], src, nil
}

func (p *udpPort) send(payload []byte, d delivery, _ source) error {
	if d.mac != nil && p.raw != nil {
		return sendPacket(p.raw, payload, p.from, d.to, d.mac)
	}
	// With the source address said: the kernel would choose the interface's first.
	control := &ipv4.ControlMessage{Src: p.from.Addr().AsSlice(), IfIndex: p.ifi.Index}
	if _, err := p.conn.WriteTo(payload, control, net.UDPAddrFromAddrPort(d.to)); err != nil {
		return fmt.Errorf("send to %s on %s: %w", d.to, p.ifi.Name, err)
	}
	return nil
}

func (p *udpPort) close() error {
	if p.raw != nil {
		_ = p.raw.Close()
	}
	return p.conn.Close()
}

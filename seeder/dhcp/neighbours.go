package dhcp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/mdlayher/packet"

	"github.com/boottorrent/boottorrent/internal/dhcpwire"
	"github.com/boottorrent/boottorrent/seeder/port"
)

// NeighbourWait is how long [Neighbours] is to wait for offers: servers that probe an address first need a second or two
// (dnsmasq pings for up to 3 s).
const NeighbourWait = 4 * time.Second

// Neighbours finds the DHCP servers of an interface's network by asking for an address, which is then not taken: those that offer
// one within wait, and the process on this very machine that has port 67. It needs CAP_NET_RAW. The seeder's own proxy is none.
func Neighbours(ctx context.Context, i Interface, wait time.Duration) ([]Neighbour, error) {
	ifi, err := net.InterfaceByName(i.Name)
	if err != nil {
		return nil, fmt.Errorf("look for DHCP servers on %s: %w", i.Name, err)
	}
	f, err := newFinder(ifi, i.Addr.Addr())
	if err != nil {
		return nil, fmt.Errorf("look for DHCP servers: %w", err)
	}
	defer f.close()
	return f.search(ctx, wait)
}

// Neighbour is another DHCP server.
type Neighbour struct {
	Addr netip.Addr
	// Next is the next server (siaddr) that its offers name; invalid if they name none, or if it is not known.
	Next netip.Addr
}

// finder looks for DHCP servers.
type finder struct {
	conn *packet.Conn
	ifi  *net.Interface
	own  netip.Addr
	// busy keeps two searches apart.
	busy sync.Mutex
}

// newFinder opens a packet socket, for the UDP socket of port 68 may be that of a DHCP client on this machine.
func newFinder(ifi *net.Interface, own netip.Addr) (*finder, error) {
	conn, err := openPacket(ifi, toPort(ifi.Index, clientPort))
	if err != nil {
		return nil, err
	}
	return &finder{conn: conn, ifi: ifi, own: own}, nil
}

func (f *finder) close() error { return f.conn.Close() }

// find returns the addresses of the servers.
func (f *finder) find(ctx context.Context, wait time.Duration) ([]netip.Addr, error) {
	found, err := f.search(ctx, wait)
	var addrs []netip.Addr
	for _, n := range found {
		addrs = append(addrs, n.Addr)
	}
	return addrs, err
}

func (f *finder) search(ctx context.Context, wait time.Duration) ([]Neighbour, error) {
	f.busy.Lock()
	defer f.busy.Unlock()
	var found []Neighbour
	// What is sent here comes to no socket of this machine.
	if p := port.OwnerOn(f.ifi.Index, netip.AddrPortFrom(f.own, serverPort)); p != nil && p.PID != strconv.Itoa(os.Getpid()) {
		found = append(found, Neighbour{Addr: f.own})
	}
	discover, err := discoverFrom(f.ifi)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := f.conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	src := netip.AddrPortFrom(netip.IPv4Unspecified(), clientPort)
	to := netip.AddrPortFrom(broadcast.Addr(), serverPort)
	if err := sendPacket(f.conn, discover.ToBytes(), src, to, broadcastMAC); err != nil {
		return nil, fmt.Errorf("look for DHCP servers on %s: %w", f.ifi.Name, err)
	}
	err = readOffers(f.conn, discover.TransactionID, func(n Neighbour) {
		if n.Addr != f.own && !slices.ContainsFunc(found, func(known Neighbour) bool { return known.Addr == n.Addr }) {
			found = append(found, n)
		}
	})
	if ctx.Err() == nil {
		return found, fmt.Errorf("look for DHCP servers on %s: %w", f.ifi.Name, err)
	}
	return found, nil
}

// discoverFrom is a DHCPDISCOVER that asks for an answer by broadcast.
func discoverFrom(ifi *net.Interface) (*dhcpv4.DHCPv4, error) {
	p := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: ifi.HardwareAddr, Options: dhcpv4.Options{},
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
	}
	if len(ifi.HardwareAddr) != etherLen {
		return nil, fmt.Errorf("look for DHCP servers on %s: %w", ifi.Name, errors.New("it is no Ethernet interface"))
	}
	_, _ = rand.Read(p.TransactionID[:]) // never fails
	p.SetBroadcast()
	p.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover))
	return p, nil
}

// readOffers reports who offers an address in answer to xid, until reading fails.
func readOffers(conn *packet.Conn, xid dhcpv4.TransactionID, report func(Neighbour)) error {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		payload, from, _, ok := parseDatagram(buf[:n])
		if !ok {
			continue
		}
		p, err := dhcpwire.Read(payload)
		if err != nil || p.TransactionID != xid || p.MessageType() != dhcpv4.MessageTypeOffer || !addrOf(p.YourIPAddr).IsValid() {
			continue
		}
		server := addrOf(p.ServerIdentifier())
		if !server.IsValid() {
			server = from.Addr()
		}
		report(Neighbour{server, addrOf(p.ServerIPAddr)})
	}
}

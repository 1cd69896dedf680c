package dhcp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// packetPort is port 67 as it is heard by listening in (packet(7)), for the proxy. A UDP socket would not do: many DHCP
// servers share port 67 with nobody, and where one does, what clients send to this machine's own address (renewals) could
// reach the proxy instead of that server.
type packetPort struct {
	conn *packet.Conn
	from netip.AddrPort
	// subnet is the directed broadcast address of the interface's network, to which some relays send.
	subnet netip.Addr
}

func (p *packetPort) number() int { return int(p.from.Port()) }

func (p *packetPort) read(buf []byte) ([]byte, source, error) {
	for {
		n, addr, err := p.conn.ReadFrom(buf)
		if err != nil {
			return nil, source{}, err
		}
		payload, from, to, ok := parseDatagram(buf[:n])
		if !ok || to.Addr() != broadcast.Addr() && to.Addr() != p.from.Addr() && to.Addr() != p.subnet {
			continue // another machine's, which a bridge or a promiscuous interface lets us see
		}
		src := source{addr: from}
		if a, ok := addr.(*packet.Addr); ok {
			src.mac = a.HardwareAddr
		}
		return payload, src, nil
	}
}

// send sends to the machine the request came from, which is the client itself or the router next to its relay.
func (p *packetPort) send(payload []byte, d delivery, src source) error {
	mac := src.mac
	if d.to.Addr() == broadcast.Addr() {
		mac = broadcastMAC
	}
	return sendPacket(p.conn, payload, p.from, d.to, mac)
}

func (p *packetPort) close() error { return p.conn.Close() }

var broadcastMAC = net.HardwareAddr{255, 255, 255, 255, 255, 255}

// sendPacket sends a UDP datagram to a hardware address.
func sendPacket(conn *packet.Conn, payload []byte, from, to netip.AddrPort, mac net.HardwareAddr) error {
	raw, err := datagram(payload, from, to)
	if err != nil {
		return fmt.Errorf("send to %s at %s: %w", to, mac, err)
	}
	if _, err := conn.WriteTo(raw, &packet.Addr{HardwareAddr: mac}); err != nil {
		return fmt.Errorf("send to %s at %s: %w", to, mac, err)
	}
	return nil
}

// openPacket opens a packet socket for IPv4 that hears what the filter lets through.
func openPacket(ifi *net.Interface, filter []bpf.Instruction) (*packet.Conn, error) {
	code, err := bpf.Assemble(filter)
	if err != nil {
		return nil, fmt.Errorf("assemble a packet filter: %w", err)
	}
	conn, err := packet.Listen(ifi, packet.Datagram, unix.ETH_P_IP, &packet.Config{Filter: code})
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("%w; %s", err, needsRight)
		}
		return nil, fmt.Errorf("open a packet socket on %s: %w", ifi.Name, err)
	}
	return conn, nil
}

// sendOnly is a filter that lets nothing through.
var sendOnly = []bpf.Instruction{bpf.RetConstant{Val: 0}}

// toPort lets UDP datagrams to that port through, if they came by the interface with that index itself: without the
// first test, a socket on eth0 also hears the VLAN eth0.5.
func toPort(index int, port uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(index), SkipTrue: 8},
		bpf.LoadAbsolute{Off: 9, Size: 1}, // protocol
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: 6},
		bpf.LoadAbsolute{Off: 6, Size: 2}, // flags and fragment offset
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 4},
		bpf.LoadMemShift{Off: 0}, // X: length of the IP header
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(port), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

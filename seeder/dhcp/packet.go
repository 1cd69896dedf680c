package dhcp

import (
	"encoding/binary"
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
}

func (p *packetPort) number() int { return int(p.from.Port()) }

func (p *packetPort) read(buf []byte) ([]byte, source, error) {
	for {
		n, addr, err := p.conn.ReadFrom(buf)
		if err != nil {
			return nil, source{}, err
		}
		payload, from, to, ok := parseDatagram(buf[:n])
		if !ok || to.Addr() != broadcast.Addr() && to.Addr() != p.from.Addr() {
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
	if _, err := conn.WriteTo(datagram(payload, from, to), &packet.Addr{HardwareAddr: mac}); err != nil {
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

// dhcpRequests lets UDP datagrams to port 67 through, if they came by the interface with that index itself: without the
// first test, a socket on eth0 also hears the VLAN eth0.5.
func dhcpRequests(index int) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(index), SkipTrue: 8},
		bpf.LoadAbsolute{Off: 9, Size: 1}, // protocol
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: 6},
		bpf.LoadAbsolute{Off: 6, Size: 2}, // flags and fragment offset
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 4},
		bpf.LoadMemShift{Off: 0}, // X: length of the IP header
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: serverPort, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

const (
	ipHeaderLen  = 20
	udpHeaderLen = 8
	protocolUDP  = 17
)

// datagram puts a payload into a UDP datagram in an IPv4 packet (RFC 768, RFC 791).
func datagram(payload []byte, from, to netip.AddrPort) []byte {
	p := make([]byte, ipHeaderLen+udpHeaderLen, ipHeaderLen+udpHeaderLen+len(payload))
	src, dst := from.Addr().As4(), to.Addr().As4()

	udp := p[ipHeaderLen:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(udpHeaderLen+len(payload)))
	pseudo := make([]byte, 0, 12+len(udp)+len(payload))
	pseudo = append(pseudo, src[:]...)
	pseudo = append(pseudo, dst[:]...)
	pseudo = append(pseudo, 0, protocolUDP, udp[4], udp[5])
	pseudo = append(pseudo, udp...)
	sum := checksum(append(pseudo, payload...))
	if sum == 0 {
		sum = 0xffff // 0 means: no checksum
	}
	binary.BigEndian.PutUint16(udp[6:], sum)

	p[0] = 4<<4 | ipHeaderLen/4
	p[1] = 0x10 // low delay, as other DHCP servers
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)+len(payload)))
	p[8] = 64 // time to live
	p[9] = protocolUDP
	copy(p[12:], src[:])
	copy(p[16:], dst[:])
	binary.BigEndian.PutUint16(p[10:], checksum(p[:ipHeaderLen]))
	return append(p, payload...)
}

// parseDatagram takes a UDP datagram out of an IPv4 packet, which may be followed by padding. Checksums are not checked:
// those of packets from this machine are not made yet, and Ethernet has one of its own.
func parseDatagram(p []byte) (payload []byte, from, to netip.AddrPort, ok bool) {
	if len(p) < ipHeaderLen || p[0]>>4 != 4 || p[9] != protocolUDP {
		return nil, from, to, false
	}
	header, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	if header < ipHeaderLen || total > len(p) || header+udpHeaderLen > total {
		return nil, from, to, false
	}
	udp := p[header:total]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < udpHeaderLen || length > len(udp) {
		return nil, from, to, false
	}
	src, dst := netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
	from = netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp[0:]))
	to = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:]))
	return udp[udpHeaderLen:length], from, to, true
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for len(b) > 1 {
		sum += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

package dhcp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/ipv4"
)

const (
	udpHeaderLen = 8
	protocolUDP  = 17
	lowDelay     = 0x10 // type of service of other DHCP servers
	timeToLive   = 64
)

// datagram puts a payload into a UDP datagram in an IPv4 packet (RFC 768, RFC 791).
func datagram(payload []byte, from, to netip.AddrPort) ([]byte, error) {
	udp := make([]byte, udpHeaderLen, udpHeaderLen+len(payload))
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(udpHeaderLen+len(payload)))
	udp = append(udp, payload...)
	src, dst := from.Addr().As4(), to.Addr().As4()
	pseudo := append(append(src[:], dst[:]...), 0, protocolUDP, udp[4], udp[5])
	sum := checksum(append(pseudo, udp...))
	if sum == 0 {
		sum = 0xffff // 0 means: no checksum
	}
	binary.BigEndian.PutUint16(udp[6:], sum)

	h := ipv4.Header{
		Version: ipv4.Version, Len: ipv4.HeaderLen, TOS: lowDelay, TotalLen: ipv4.HeaderLen + len(udp), TTL: timeToLive,
		Protocol: protocolUDP, Src: from.Addr().AsSlice(), Dst: to.Addr().AsSlice(),
	}
	head, err := h.Marshal()
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(head[10:], checksum(head)) // the kernel leaves it to us
	return append(head, udp...), nil
}

// parseDatagram takes a UDP datagram out of an IPv4 packet, which may be followed by padding. Checksums are not checked:
// those of packets from this machine are not made yet, and Ethernet has one of its own.
func parseDatagram(p []byte) (payload []byte, from, to netip.AddrPort, ok bool) {
	h, err := ipv4.ParseHeader(p)
	if err != nil || h.Version != ipv4.Version || h.Protocol != protocolUDP || h.Len < ipv4.HeaderLen || h.TotalLen > len(p) || h.Len+udpHeaderLen > h.TotalLen {
		return nil, from, to, false
	}
	udp := p[h.Len:h.TotalLen]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < udpHeaderLen || length > len(udp) {
		return nil, from, to, false
	}
	src, _ := netip.AddrFromSlice(h.Src.To4())
	dst, _ := netip.AddrFromSlice(h.Dst.To4())
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

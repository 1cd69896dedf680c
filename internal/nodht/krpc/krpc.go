// Package krpc has the addresses that trackers and peers send each other in compact form: 4 or 16 bytes of IP and 2 of port, one after
// the other (BEP 7, BEP 11, BEP 23). They are the only part of the DHT's protocol that github.com/anacrolix/torrent uses elsewhere.
package krpc

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"

	"github.com/anacrolix/torrent/bencode"
)

// Lengths of a compact address in bytes.
const (
	compact4 = net.IPv4len + 2
	compact6 = net.IPv6len + 2
)

// Msg is a message of the DHT. There is none.
type Msg struct{}

// NodeInfo is a node of the DHT.
type NodeInfo struct{ Addr NodeAddr }

// NodeAddr is a peer's address.
type NodeAddr struct {
	IP   net.IP
	Port int
}

// String is ADDRESS:PORT.
func (a NodeAddr) String() string { return net.JoinHostPort(a.IP.String(), strconv.Itoa(a.Port)) }

// CompactIPv4NodeAddrs and CompactIPv6NodeAddrs are addresses of one family.
type (
	CompactIPv4NodeAddrs []NodeAddr
	CompactIPv6NodeAddrs []NodeAddr
)

// NodeAddrs are the addresses.
func (c CompactIPv4NodeAddrs) NodeAddrs() []NodeAddr { return c }

// NodeAddrs are the addresses.
func (c CompactIPv6NodeAddrs) NodeAddrs() []NodeAddr { return c }

// MarshalBinary fails if an address is of IPv6.
func (c CompactIPv4NodeAddrs) MarshalBinary() ([]byte, error) { return marshal(c, net.IP.To4) }

// MarshalBinary writes addresses of IPv4 as ::ffff:a.b.c.d.
func (c CompactIPv6NodeAddrs) MarshalBinary() ([]byte, error) { return marshal(c, net.IP.To16) }

// UnmarshalBinary appends addresses of 6 bytes each.
func (c *CompactIPv4NodeAddrs) UnmarshalBinary(b []byte) error {
	return unmarshal((*[]NodeAddr)(c), b, compact4)
}

// UnmarshalBinary appends addresses of 18 bytes each.
func (c *CompactIPv6NodeAddrs) UnmarshalBinary(b []byte) error {
	return unmarshal((*[]NodeAddr)(c), b, compact6)
}

// MarshalBencode is MarshalBinary as a string of bencode.
func (c CompactIPv4NodeAddrs) MarshalBencode() ([]byte, error) { return bencoded(c.MarshalBinary()) }

// MarshalBencode is MarshalBinary as a string of bencode.
func (c CompactIPv6NodeAddrs) MarshalBencode() ([]byte, error) { return bencoded(c.MarshalBinary()) }

// UnmarshalBencode is UnmarshalBinary of a string of bencode.
func (c *CompactIPv4NodeAddrs) UnmarshalBencode(b []byte) error {
	return unbencoded(c.UnmarshalBinary, b)
}

// UnmarshalBencode is UnmarshalBinary of a string of bencode.
func (c *CompactIPv6NodeAddrs) UnmarshalBencode(b []byte) error {
	return unbencoded(c.UnmarshalBinary, b)
}

// Index is the place of an address, -1 if it is not there.
func (c CompactIPv4NodeAddrs) Index(a NodeAddr) int { return index(c, a) }

// Index is the place of an address, -1 if it is not there.
func (c CompactIPv6NodeAddrs) Index(a NodeAddr) int { return index(c, a) }

func marshal(addrs []NodeAddr, family func(net.IP) net.IP) ([]byte, error) {
	var b []byte
	for _, a := range addrs {
		ip := family(a.IP)
		if ip == nil {
			return nil, fmt.Errorf("%s is not of the family of addresses that it is sent among", a.IP)
		}
		b = binary.BigEndian.AppendUint16(append(b, ip...), uint16(a.Port))
	}
	return b, nil
}

func unmarshal(addrs *[]NodeAddr, b []byte, size int) error {
	for ; len(b) >= size; b = b[size:] {
		*addrs = append(*addrs, NodeAddr{IP: net.IP(append([]byte(nil), b[:size-2]...)), Port: int(binary.BigEndian.Uint16(b[size-2:]))})
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes are left behind the last whole address of %d", len(b), size)
	}
	return nil
}

func bencoded(b []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return bencode.Marshal(b)
}

func unbencoded(unmarshal func([]byte) error, b []byte) error {
	var s []byte
	if err := bencode.Unmarshal(b, &s); err != nil {
		return err
	}
	return unmarshal(s)
}

func index(addrs []NodeAddr, a NodeAddr) int {
	for i, b := range addrs {
		if b.IP.Equal(a.IP) && b.Port == a.Port {
			return i
		}
	}
	return -1
}

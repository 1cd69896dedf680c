package swarm

import (
	"net"
	"testing"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"
)

// Trackers and peers send each other addresses in compact form (BEP 7, BEP 23), which the library leaves to internal/nodht.
func TestCompactAddresses(t *testing.T) {
	for _, c := range []struct {
		name, encoded string
		value, empty  any
		index         func(any) int
	}{
		{
			"IPv4", "12:\x0a\x00\x00\x01\x1a\xe1\xc0\xa8\x01\x02\x00\x50",
			krpc.CompactIPv4NodeAddrs{{IP: net.IPv4(10, 0, 0, 1), Port: 6881}, {IP: net.IPv4(192, 168, 1, 2), Port: 80}},
			&krpc.CompactIPv4NodeAddrs{},
			func(v any) int {
				return v.(*krpc.CompactIPv4NodeAddrs).Index(krpc.NodeAddr{IP: net.IPv4(192, 168, 1, 2), Port: 80})
			},
		},
		{
			"IPv6", "36:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\xff\xff" +
				"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01\x00\x01",
			krpc.CompactIPv6NodeAddrs{{IP: net.ParseIP("2001:db8::7"), Port: 65535}, {IP: net.IPv4(10, 0, 0, 1), Port: 1}},
			&krpc.CompactIPv6NodeAddrs{},
			func(v any) int {
				return v.(*krpc.CompactIPv6NodeAddrs).Index(krpc.NodeAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1})
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := bencode.Marshal(c.value)
			if err != nil || string(b) != c.encoded {
				t.Errorf("encoded as %q (%v), want %q", b, err, c.encoded)
			}
			if err := bencode.Unmarshal([]byte(c.encoded), c.empty); err != nil {
				t.Fatal(err)
			}
			if got := c.index(c.empty); got != 1 {
				t.Errorf("the second address is at %d of %v", got, c.empty)
			}
			if err := bencode.Unmarshal([]byte("5:abcde"), c.empty); err == nil {
				t.Error("five bytes are taken for addresses")
			}
		})
	}
	if b, err := bencode.Marshal(krpc.CompactIPv4NodeAddrs{{IP: net.ParseIP("2001:db8::7"), Port: 1}}); err == nil {
		t.Errorf("an address of IPv6 is sent among those of IPv4: %q", b)
	}
}

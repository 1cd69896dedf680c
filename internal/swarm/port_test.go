package swarm

import (
	"net/netip"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// A node has one engine after the other, on one port.
func TestSamePortAgain(t *testing.T) {
	listen := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(need.Port(t)))
	for range 20 {
		e, err := New(Config{Listen: listen})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

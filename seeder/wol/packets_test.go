package wol

import (
	"net"
	"testing"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// packets are the IPv4 packets to UDP port 9 that come to an interface, whatever address they are for.
func packets(t *testing.T, name string) chan []byte {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := packet.Listen(i, packet.Datagram, unix.ETH_P_IP, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := make(chan []byte, 100)
	go func() {
		for {
			b := make([]byte, 1500)
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if n > 28 && b[9] == 17 && b[16] == 255 && b[22] == 0 && b[23] == port {
				c <- b[:n]
			}
		}
	}()
	return c
}

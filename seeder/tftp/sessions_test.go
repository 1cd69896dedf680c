package tftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func clientAt(host, port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, byte(host >> 8), byte(host)}), uint16(port))
}

// One address has few places, and of those who were never heard of the oldest makes room.
func TestPlaces(t *testing.T) {
	var s sessions
	open := func(host, port int) (context.Context, *session, error) {
		return s.open(t.Context(), clientAt(host, port), fmt.Sprint(port))
	}
	first, place, err := open(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for port := 1; port < maxPerAddress; port++ {
		if _, _, err := open(1, port); err != nil {
			t.Fatal(err)
		}
	}
	if first.Err() != nil {
		t.Fatal("a transfer was ended while there were places")
	}
	if _, _, err := open(1, 100); err != nil || !errors.Is(context.Cause(first), errCrowded) {
		t.Errorf("one more: %v; the oldest ended with %v", err, context.Cause(first))
	}
	s.close(place) // what was ended gives back nothing that is another's
	if len(s.all) != maxPerAddress {
		t.Errorf("%d places are taken, want %d", len(s.all), maxPerAddress)
	}
	for _, one := range s.all {
		s.confirm(one)
	}
	if _, _, err := open(1, 101); !errors.Is(err, errFull) {
		t.Errorf("one more than an address may have: %v", err)
	}
	// Others have their places, until the whole number is reached; then an unheard one goes.
	for host := 2; len(s.all) < maxTransfers; host++ {
		if _, _, err := open(host, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := open(9999, 1); err != nil || len(s.all) != maxTransfers || s.all[clientAt(2, 1)] != nil {
		t.Errorf("in a crowd of unheard ones: %v, %d places taken", err, len(s.all))
	}
}

// A repeated request gets the first packet again from the same port, and another one from the same port of the client replaces
// the transfer.
func TestRepeatedRequest(t *testing.T) {
	addr := serve(t, randomBytes(3000))
	c := dial(t, addr)
	const request, other = "\x00\x01file.efi\x00octet\x00", "\x00\x01FILE.EFI\x00octet\x00"
	c.send(request)
	c.want(data(1))
	first := c.server
	for range 3 {
		c.server = addr
		c.send(request)
		c.want(data(1))
		if c.server.String() != first.String() {
			t.Fatalf("the repeated request was answered from %s, the first from %s", c.server, first)
		}
	}
	c.ack(1)
	c.want(data(2))
	c.server = addr
	c.send(other)
	c.want(data(1))
	if c.server.String() == first.String() {
		t.Error("the new transfer goes on where the old one was")
	}
	c.ack(1)
	c.want(data(2))
	c.silent(addr)
}

// More clients of one address than there are places, all with a long timeout and never heard of again, leave the server to others.
func TestCrowdFromOneAddress(t *testing.T) {
	addr := serve(t, []byte("content"))
	for range maxTransfers + 20 {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 3)})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := client{t, conn, addr}
		c.send("\x00\x01file.efi\x00octet\x00timeout\x00255\x00")
		c.want(data(1))
	}
	c := dial(t, addr)
	c.send("\x00\x01file.efi\x00octet\x00")
	c.want(data(1) + "content")
}

// Who has acknowledged nothing gets one packet, whatever its options: one more would be for an address that was made up.
func TestOnePacketForTheUnheard(t *testing.T) {
	addr := serve(t, randomBytes(30_000))
	for _, options := range []string{"", "blksize\x001\x00windowsize\x0099999\x00", "tsize\x000\x00blksize\x00x\x00windowsize\x00x\x00"} {
		c := dial(t, addr)
		c.send("\x00\x01file.efi\x00octet\x00" + options)
		c.read()
		c.silent(addr)
	}
}

// failing is a connection whose writes, and reads without a packet, fail as the kernel's do.
type failing struct {
	net.Conn
	writes []error
	reads  []error
}

func (f *failing) Write(p []byte) (int, error) {
	if len(f.writes) > 0 {
		err := f.writes[0]
		f.writes = f.writes[1:]
		if err != nil {
			return 0, &net.OpError{Op: "write", Err: os.NewSyscallError("sendto", err)}
		}
	}
	return f.Conn.Write(p)
}

func (f *failing) Read(p []byte) (int, error) {
	if len(f.reads) > 0 {
		err := f.reads[0]
		f.reads = f.reads[1:]
		return 0, &net.OpError{Op: "read", Err: os.NewSyscallError("recvfrom", err)}
	}
	return f.Conn.Read(p)
}

// A packet that is too large for a router in between, or that the interface does not take for a moment, is a lost one: it is sent
// again, and the transfer goes on.
func TestErrorsThatAreLosses(t *testing.T) {
	for _, loss := range []error{syscall.EMSGSIZE, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.ENOBUFS, syscall.EPERM} {
		t.Run(loss.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				defer client.Close()
				x := transfer{
					conn: &failing{Conn: server, writes: []error{nil, loss, nil}, reads: []error{loss}}, heard: true,
					request: request{blockSize: 8, window: 1, timeout: time.Second}, file: bytes.NewReader([]byte("two blocks")), size: 10,
				}
				ended := make(chan error, 1)
				go func() { ended <- x.run(t.Context()) }()
				got, buf := "", make([]byte, 100)
				for block := uint16(1); block <= 2; block++ {
					n, err := client.Read(buf)
					if err != nil || !strings.HasPrefix(string(buf[:n]), data(block)) {
						t.Fatalf("%q, %v; want block %d", buf[:n], err, block)
					}
					got += string(buf[4:n])
					if _, err := client.Write(binary.BigEndian.AppendUint16([]byte{0, opAck}, block)); err != nil {
						t.Fatal(err)
					}
				}
				if err := <-ended; err != nil || got != "two blocks" {
					t.Errorf("got %q, %v", got, err)
				}
			})
		})
	}
}

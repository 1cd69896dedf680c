package tftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/seeder/port"
)

// serve starts a server on loopback that has content under the name file.efi, and returns its address. It is stopped,
// and must stop without an error and with nothing left running, at the end of the test.
func serve(t *testing.T, content []byte) *net.UDPAddr {
	t.Helper()
	addr, stop := serveOn(t, "127.0.0.1:0", content)
	t.Cleanup(stop)
	return addr
}

// serveOn is serve on an address, to be stopped by the test.
func serveOn(t *testing.T, listen string, content []byte) (addr *net.UDPAddr, stop func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(Config{
		Listen: []netip.AddrPort{netip.MustParseAddrPort(listen)},
		Files:  files(map[string]string{"file.efi": path, "missing.efi": path + ".missing", "dir": filepath.Dir(path)}),
	})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	return s.listen.open[netip.MustParseAddrPort(listen)].LocalAddr().(*net.UDPAddr), func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(need.Patience):
			t.Error("Serve does not end")
		}
	}
}

// files are files that don't change.
func files(m map[string]string) func() map[string]string {
	return func() map[string]string { return m }
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// client is a TFTP client that a test drives packet by packet.
type client struct {
	t      *testing.T
	conn   *net.UDPConn
	server *net.UDPAddr
}

func dial(t *testing.T, server *net.UDPAddr) *client {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t, conn, server}
}

func (c *client) send(packet string) {
	c.t.Helper()
	if _, err := c.conn.WriteToUDP([]byte(packet), c.server); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) ack(block uint16) {
	c.t.Helper()
	c.send(string(binary.BigEndian.AppendUint16([]byte{0, opAck}, block)))
}

// want reads packets and checks their first four bytes: opcode and block. From now on the client sends to where they
// came from.
func (c *client) want(heads ...string) {
	c.t.Helper()
	for _, head := range heads {
		if got := c.read(); !strings.HasPrefix(got, head) {
			c.t.Fatalf("got a packet %.20q…, want one that starts with %q", got, head)
		}
	}
}

func (c *client) read() string {
	c.t.Helper()
	buf := make([]byte, 2000)
	if err := c.conn.SetReadDeadline(time.Now().Add(need.Patience)); err != nil {
		c.t.Fatal(err)
	}
	n, from, err := c.conn.ReadFromUDP(buf)
	if err != nil {
		c.t.Fatal(err)
	}
	c.server = from
	return string(buf[:n])
}

// silent checks that nothing more was sent: the next packet is the answer to another request.
func (c *client) silent(server *net.UDPAddr) {
	c.t.Helper()
	transfer := c.server
	c.server = server
	c.send("\x00\x02x\x00octet\x00")
	c.want("\x00\x05\x00\x02")
	c.server = transfer
}

func data(block uint16) string {
	return string(binary.BigEndian.AppendUint16([]byte{0, opData}, block))
}

func TestLostPacketsAreSentAgain(t *testing.T) {
	content := randomBytes(3000) // with blksize 1000: blocks 1, 2, 3, and the empty 4

	t.Run("not for a repeated acknowledgement", func(t *testing.T) {
		addr := serve(t, content)
		c := dial(t, addr)
		c.send("\x00\x01file.efi\x00octet\x00timeout\x0010\x00")
		c.want("\x00\x06")
		c.ack(0)
		c.want(data(1))
		c.ack(1)
		c.want(data(2))
		c.ack(1)
		c.ack(1)
		c.silent(addr)
		c.ack(2)
		c.want(data(3))
	})
	t.Run("from the gap in a window", func(t *testing.T) {
		addr := serve(t, content)
		c := dial(t, addr)
		c.send("\x00\x01file.efi\x00octet\x00blksize\x001000\x00windowsize\x003\x00timeout\x0010\x00")
		c.want("\x00\x06")
		c.ack(0)
		c.want(data(1), data(2), data(3))
		c.ack(0) // block 1 is missing
		c.ack(0) // and this is for block 3, which came behind the gap too
		c.want(data(1), data(2), data(3))
		c.silent(addr)
		c.ack(2) // block 3 is missing
		c.want(data(3), data(4))
		c.ack(4)
		c.silent(addr)
	})
	t.Run("acknowledgements that make no sense", func(t *testing.T) {
		addr := serve(t, content)
		c := dial(t, addr)
		c.send("\x00\x01file.efi\x00octet\x00windowsize\x002\x00timeout\x0010\x00")
		c.want("\x00\x06")
		c.ack(7)
		c.send("")
		c.send("\x00\x01")
		c.silent(addr)
		c.ack(0)
		c.want(data(1), data(2))
		c.ack(3)
		c.ack(0xffff)
		c.silent(addr)
	})
}

// More blocks than 16 bits can count: the number wraps to 0.
func TestBlockNumbersWrap(t *testing.T) {
	const last = 1<<16 + 10
	content := randomBytes(8*(last-1) + 5)
	c := dial(t, serve(t, content))
	c.send("\x00\x01file.efi\x00octet\x00blksize\x008\x00windowsize\x0016\x00timeout\x0010\x00")
	c.want("\x00\x06")
	c.ack(0)
	var got []byte
	for block := 1; block <= last; block++ {
		packet := c.read()
		if !strings.HasPrefix(packet, data(uint16(block))) {
			t.Fatalf("block %d: packet %q", block, packet)
		}
		got = append(got, packet[4:]...)
		if block%16 == 0 || block == last {
			c.ack(uint16(block))
		}
	}
	if !bytes.Equal(got, content) {
		t.Error("the content differs")
	}
}

// Malformed packets must leave the server running, and clients that vanish must leave nothing behind.
func TestRudeClients(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("serve", func(t *testing.T) {
		addr := serve(t, randomBytes(3000))
		for _, packet := range []string{
			"", "\x00", "\x00\x01", "\x00\x01\x00", "\x00\x01file.efi", "\x00\x06", "\x00\x05", "\x00\x05\x00\x01",
			"\x00\x01file.efi\x00octet\x00windowsize\x000\x00blksize\x000\x00", strings.Repeat("\x00\x01", 2000),
			"\x00\x01file.efi\x00octet\x00windowsize\x0065535\x00blksize\x0065535\x00",
		} {
			dial(t, addr).send(packet)
		}
		for range 20 {
			c := dial(t, addr)
			c.send("\x00\x01file.efi\x00octet\x00")
			c.want(data(1))
			c.conn.Close()
		}
		c := dial(t, addr)
		c.send("\x00\x01file.efi\x00octet\x00")
		c.want(data(1))
		c.send("\x00\x05\x00\x00enough\x00")
		other := dial(t, c.server) // not the client of that transfer
		other.ack(1)
		c.silent(addr)
	})
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

// A server that moves answers at the new address, and not at the old one; what was going on there ends by itself.
func TestMove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, randomBytes(700), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.2:0")}, Files: files(map[string]string{"file.efi": path})})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	at := func(addr string) *net.UDPAddr {
		t.Helper()
		s.listen.mu.Lock()
		defer s.listen.mu.Unlock()
		conn := s.listen.open[netip.MustParseAddrPort(addr)]
		if conn == nil || len(s.listen.open) != 1 {
			t.Fatalf("it listens on %v, not on %s alone", s.listen.open, addr)
		}
		return conn.LocalAddr().(*net.UDPAddr)
	}
	c := dial(t, at("127.0.0.2:0"))
	c.send("\x00\x01file.efi\x00octet\x00")
	c.want(data(1))
	if err := s.Move([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.3:0"), netip.MustParseAddrPort("192.0.2.1:69")}); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("an address that this machine has not: %v", err)
	}
	c.ack(1)
	c.want(data(2))
	c.ack(2)
	c = dial(t, at("127.0.0.3:0"))
	c.send("\x00\x01file.efi\x00octet\x00")
	c.want(data(1))
}

func TestPortInUse(t *testing.T) {
	addr := serve(t, nil)
	err := New(Config{Listen: []netip.AddrPort{addr.AddrPort()}}).Listen()
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), fmt.Sprintf("UDP port %d of 127.0.0.1: %s (pid %d) has it", addr.Port, filepath.Base(os.Args[0]), os.Getpid())) {
		t.Errorf("error %v", err)
	}
	for _, test := range []struct {
		who    *port.Process
		number uint16
		want   string
	}{
		{&port.Process{PID: "7", Name: "dnsmasq"}, 69, "remove enable-tftp from dnsmasq's configuration and restart it; its DNS and DHCP can stay (firmware asks port 69 only"},
		{&port.Process{PID: "7", Name: "in.tftpd", Unit: "tftpd-hpa.service"}, 69, "stop it: systemctl disable --now tftpd-hpa.service (firmware"},
		{&port.Process{PID: "7", Name: "in.tftpd"}, 6969, "stop it: kill 7"},
		{nil, 69, "stop it (firmware"},
	} {
		if got := Remedy(test.who, test.number); !strings.HasPrefix(got, test.want) {
			t.Errorf("for %v at port %d: %q, want %q", test.who, test.number, got, test.want)
		}
	}
}

// The answer must come from the address that was asked, also where the machine has others.
func TestAnswersFromTheAddressAsked(t *testing.T) {
	addr, stop := serveOn(t, "127.0.0.2:0", []byte("content"))
	c := dial(t, addr)
	c.send("\x00\x01file.efi\x00octet\x00")
	c.want(data(1) + "content")
	if !c.server.IP.Equal(net.IPv4(127, 0, 0, 2)) {
		t.Errorf("the answer came from %v", c.server)
	}
	stop() // in the middle of the transfer
	c.want("\x00\x05")
}

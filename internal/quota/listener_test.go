package quota

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// Connections to which nothing is sent give way to others, those of the address with the most first.
func TestListener(t *testing.T) {
	raw, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	l := Listener(raw, 8)
	dial := func(n byte) (ours, theirs net.Conn) {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, n)}}
		ours, err := d.Dial("tcp4", raw.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		theirs, err = l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		return ours, theirs
	}
	closed := func(c net.Conn) bool {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	}
	good, server := dial(2)
	var silent []net.Conn
	for range 6 {
		c, _ := dial(3)
		silent = append(silent, c)
	}
	several := net.Buffers{[]byte("x"), []byte("y")}
	if n, err := server.(*conn).WriteBuffers(&several); n != 2 || err != nil {
		t.Fatalf("wrote %d bytes: %v", n, err)
	}
	if _, err := io.ReadFull(good, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		dial(3)
	}
	if closed(good) {
		t.Error("the connection of another address was closed")
	}
	if !closed(silent[0]) || !closed(silent[5]) {
		t.Error("silent connections are open")
	}
	if n := l.(*listener).conns.Len(); n != 8 {
		t.Errorf("%d are open, want 8", n)
	}
	server.Close()
	if n := l.(*listener).conns.Len(); n != 7 {
		t.Errorf("%d are open after one was closed, want 7", n)
	}
}

package swarm

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// slowLink is a connection to one of our own kind, as which the test acts, after the handshakes.
func slowLink(t *testing.T) (b *blocks, peer net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	same := func(c net.Conn) net.Conn { return c }
	dialer := wireDialer{new(net.Dialer), wire{look: same, paced: same, pulse: newPulse(), news: func(catalog.InfoHash, int) bool { return true }}}
	ours, err := dialer.DialContext(t.Context(), "tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	if peer, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	b = ours.(*blocks)
	foreignPeer{peer, b}.both(t, hello(clientID, true), hello(clientID, true))
	return b, peer
}

// TestPiecesWakeOnce has the kernel wait for the rest of a piece when its begin has come, and for nothing else.
func TestPiecesWakeOnce(t *testing.T) {
	b, peer := slowLink(t)
	step := func(sent []byte, want int) {
		t.Helper()
		sends(t, peer, sent)
		if _, err := io.ReadFull(b, make([]byte, len(sent))); err != nil {
			t.Fatal(err)
		}
		if got := b.low.conn.lowWater(t); got != want {
			t.Errorf("the kernel waits for %d bytes, want %d", got, want)
		}
	}
	for i := range 3 {
		m := pieceMessage(uint32(i), 0, 2*pick.BlockSize)
		step(have9, 1)
		step(m[:1], 1)
		step(m[1:1000], len(m)-1000)
		step(m[1000:3000], len(m)-3000)
		step(m[3000:len(m)-100], 1)
		step(m[len(m)-100:], 1)
		step(slices.Concat(m, have9[:2]), 1)
		step(have9[2:], 1)
	}
}

// TestPulsesWithinAPiece has pulses begin and end while a piece comes. The message is followed all the while.
func TestPulsesWithinAPiece(t *testing.T) {
	b, peer := slowLink(t)
	c := b.low.conn
	c.pulse.looked.Store(int64(time.Hour)) // nothing else changes them
	m := pieceMessage(0, 0, 2*pick.BlockSize)
	read := func(n int, want int) {
		t.Helper()
		sends(t, peer, m[:n])
		m = m[n:]
		if _, err := io.ReadFull(b, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if got := c.lowWater(t); got != want {
			t.Errorf("the kernel waits for %d bytes, want %d", got, want)
		}
	}
	read(4, len(m)-4)
	c.pulse.period.Store(int64(time.Millisecond))
	read(1000, pulseLow)
	c.pulse.period.Store(0)
	read(1000, len(m)-1000)
	read(len(m), 1)
}

// TestPartOfAPieceEnds has a peer close the connection within a piece.
func TestPartOfAPieceEnds(t *testing.T) {
	b, peer := slowLink(t)
	m := pieceMessage(0, 0, 2*pick.BlockSize)
	sends(t, peer, m[:1000])
	if _, err := io.ReadFull(b, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	sends(t, peer, m[1000:2000])
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(b); len(rest) != 1000 || err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d bytes, %v; want the other 1000 and the end", len(rest), err)
	}
}

func sends(t *testing.T, c net.Conn, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Error(err)
	}
}

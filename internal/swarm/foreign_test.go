package swarm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// pieceMessage is a piece message; its data are a function of where they begin.
func pieceMessage(piece, begin uint32, size int) []byte {
	m := binary.BigEndian.AppendUint32(nil, piece)
	m = binary.BigEndian.AppendUint32(m, begin)
	for i := range size {
		m = append(m, byte((int(piece)+1)*(int(begin)+i)>>4))
	}
	return message(msgPiece, m)
}

func hello(id string, fast bool) []byte {
	h := append([]byte(protocol), make([]byte, 28)...)
	if fast {
		h[27] = 4
	}
	return append(h, (id + "............")[:20]...)
}

// foreignPeer is a blocks with a foreign client at its other end, as which the test acts. Both handshakes are over.
type foreignPeer struct {
	net.Conn
	blocks *blocks
}

func newForeignPeer(t testing.TB, id string, fast bool) foreignPeer {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	b, err := dialBlocks(t.Context(), func(context.Context) (net.Conn, error) { return ours, nil })
	if err != nil {
		t.Fatal(err)
	}
	p := foreignPeer{theirs, b}
	p.both(t, hello(clientID, true), hello(id, fast))
	return p
}

// both lets each side send something, of which the library's side reads as much as the peer sends.
func (p foreignPeer) both(t testing.TB, ours, theirs []byte) {
	t.Helper()
	go func() { _, _ = p.Write(theirs) }()
	if _, err := io.ReadFull(p.blocks, make([]byte, len(theirs))); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = p.blocks.Write(ours) }()
	if _, err := io.ReadFull(p, make([]byte, len(ours))); err != nil {
		t.Fatal(err)
	}
}

// writes has the library write, and checks what the peer gets.
func (p foreignPeer) writes(t testing.TB, write, want []byte) {
	t.Helper()
	go func() { _, _ = p.blocks.Write(write) }()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the peer gets %x, %v; want %x", got, err, want)
	}
}

// reads has the peer write, and checks what the library gets.
func (p foreignPeer) reads(t testing.TB, write, want []byte) {
	t.Helper()
	go func() { _, _ = p.Write(write) }()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p.blocks, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the library gets %d bytes, %v; want %d: %.40x, want %.40x", len(got), err, len(want), got, want)
	}
}

func requestFor(kind byte, piece, begin uint32, length int) []byte {
	return appendRequest(nil, kind, blockAt{piece, begin}, uint32(length))
}

var unchoke, have9 = message(1, nil), have(9)

func TestForeignClientIsAskedForBlocks(t *testing.T) {
	const b = pick.BlockSize
	p := newForeignPeer(t, "-XX0000-", true)
	p.writes(t, append(requestFor(msgRequest, 1, 2*b, 3*b+5), have9...), bytes.Join([][]byte{
		requestFor(msgRequest, 1, 2*b, b), requestFor(msgRequest, 1, 3*b, b), requestFor(msgRequest, 1, 4*b, b), requestFor(msgRequest, 1, 5*b, 5), have9,
	}, nil))
	// In another order, with something between and with blocks that nobody asked for, they become one.
	p.reads(t, bytes.Join([][]byte{
		pieceMessage(1, 5*b, 5), unchoke, pieceMessage(1, 3*b, b), pieceMessage(1, 3*b, b), pieceMessage(7, 0, b), pieceMessage(1, 2*b, b-1),
		pieceMessage(1, 4*b, b), {0, 0, 0, 0}, pieceMessage(1, 2*b, b), have9,
	}, nil), bytes.Join([][]byte{unchoke, {0, 0, 0, 0}, pieceMessage(1, 2*b, 3*b+5), have9}, nil))
	if len(p.blocks.open) > 0 {
		t.Errorf("%d blocks are open, all of which have come", len(p.blocks.open))
	}
}

func TestForeignClientRejectsBlocks(t *testing.T) {
	const b = pick.BlockSize
	p := newForeignPeer(t, "-XX0000-", true)
	blocksOf := func(kind byte) []byte {
		return append(requestFor(kind, 1, 0, b), requestFor(kind, 1, b, b)...)
	}
	for range 2 { // asked for again it is answered
		p.writes(t, requestFor(msgRequest, 1, 0, 2*b), blocksOf(msgRequest))
		p.reads(t, bytes.Join([][]byte{requestFor(msgReject, 1, b, b), unchoke, pieceMessage(1, 0, b)}, nil), append(unchoke, requestFor(msgReject, 1, 0, 2*b)...))
	}
	p.writes(t, requestFor(msgRequest, 1, 0, 2*b), blocksOf(msgRequest))
	p.writes(t, requestFor(msgCancel, 1, 0, 2*b), blocksOf(msgCancel))
	p.reads(t, blocksOf(msgReject), requestFor(msgReject, 1, 0, 2*b))
}

func TestForeignClientForgets(t *testing.T) {
	const b = pick.BlockSize
	two := append(requestFor(msgRequest, 1, 0, b), requestFor(msgRequest, 1, b, b)...)
	t.Run("when it chokes", func(t *testing.T) {
		p := newForeignPeer(t, "-XX0000-", false)
		p.writes(t, requestFor(msgRequest, 1, 0, 2*b), two)
		choke := message(msgChoke, nil)
		p.reads(t, bytes.Join([][]byte{pieceMessage(1, 0, b), choke, pieceMessage(1, b, b), unchoke}, nil), append(choke, unchoke...))
		p.writes(t, requestFor(msgRequest, 1, 0, 2*b), two)
		p.reads(t, append(pieceMessage(1, 0, b), pieceMessage(1, b, b)...), pieceMessage(1, 0, 2*b))
	})
	for id, fast := range map[string]bool{"-XX0000-": false, "-TR3000-": true} {
		t.Run("what is cancelled, "+id, func(t *testing.T) {
			p := newForeignPeer(t, id, fast)
			p.writes(t, requestFor(msgRequest, 1, 0, 2*b), two)
			p.writes(t, requestFor(msgCancel, 1, 0, 2*b), append(requestFor(msgCancel, 1, 0, b), requestFor(msgCancel, 1, b, b)...))
			p.reads(t, append(pieceMessage(1, 0, b), unchoke...), unchoke)
			if len(p.blocks.open) > 0 {
				t.Errorf("%d blocks are open after a cancel", len(p.blocks.open))
			}
		})
	}
}

func TestOwnKindIsAskedForAll(t *testing.T) {
	p := newForeignPeer(t, clientID, true)
	m := requestFor(msgRequest, 1, 0, 4*pick.BlockSize)
	p.writes(t, m, m)
	m = pieceMessage(1, 0, 4*pick.BlockSize)
	p.reads(t, m, m)
}

// TestOlderReleasesAreForeign has one asked for blocks that would refuse a request of pick.MaxRequestSize.
func TestOlderReleasesAreForeign(t *testing.T) {
	const b = pick.BlockSize
	p := newForeignPeer(t, "-BN0100-", true)
	p.writes(t, requestFor(msgRequest, 1, 0, 2*b), append(requestFor(msgRequest, 1, 0, b), requestFor(msgRequest, 1, b, b)...))
}

// FuzzBlocks reads what a foreign client may send after a few requests, in parts of any size. What the library gets are whole messages
// as far as what came was, of which each piece and reject answers a request, once.
func FuzzBlocks(f *testing.F) {
	const b = pick.BlockSize
	f.Add(bytes.Join([][]byte{pieceMessage(0, b, b), have9, pieceMessage(0, 0, b), requestFor(msgReject, 1, 0, b), pieceMessage(1, b, 7)}, nil), true, uint64(1))
	f.Add(bytes.Join([][]byte{message(msgChoke, nil), pieceMessage(0, 0, b), {0, 0, 0, 0}, message(5, make([]byte, 3*b))}, nil), false, uint64(2))
	f.Add([]byte{255, 255, 255, 255, 7, 0}, false, uint64(3))
	f.Fuzz(func(t *testing.T, sent []byte, fast bool, seed uint64) {
		c := &scriptedConn{random: rand.New(rand.NewPCG(seed, 0)), rest: append(hello("-XX0000-", fast), sent...)}
		p, err := dialBlocks(t.Context(), func(context.Context) (net.Conn, error) { return c, nil })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(p, make([]byte, helloLen)); err != nil {
			t.Fatal(err)
		}
		_, _ = p.Write(hello(clientID, true))
		open := map[string]bool{}
		for _, r := range [][]byte{requestFor(msgRequest, 0, 0, 2*b), requestFor(msgRequest, 1, 0, b+7), requestFor(msgRequest, 1, 4*b, 9)} {
			_, _ = p.Write(r)
			open[string(r[5:])] = true
		}
		got, err := io.ReadAll(p)
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			checkAnswers(t, got, open)
		}
	})
}

func checkAnswers(t *testing.T, got []byte, open map[string]bool) {
	for len(got) > 4 && len(got) >= 4+int(binary.BigEndian.Uint32(got)) {
		m := got[:4+binary.BigEndian.Uint32(got)]
		got = got[len(m):]
		if len(m) < pieceHead || m[4] != msgPiece && (m[4] != msgReject || len(m) != requestLen) {
			continue
		}
		key := bytes.Clone(m[5:pieceHead])
		if m[4] == msgPiece {
			key = binary.BigEndian.AppendUint32(key, uint32(len(m)-pieceHead))
		} else {
			key = append(key, m[pieceHead:]...)
		}
		if !open[string(key)] {
			t.Fatalf("message %d for %x, which is not open", m[4], key)
		}
		delete(open, string(key))
	}
}

// scriptedConn sends rest in parts and takes everything.
type scriptedConn struct {
	net.Conn
	random *rand.Rand
	rest   []byte
}

func (c *scriptedConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+c.random.IntN(1<<c.random.IntN(16)))], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *scriptedConn) Write(p []byte) (int, error) { return len(p), nil }

func (c *scriptedConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

package swarm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent/mse"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// Nodes and the seeder ask each other for more than a block of 16 KiB at a time (pick.RequestSize). Foreign clients refuse that, and
// close the connection or let the request go unanswered. So on a connection to one of them a large request becomes one for each of
// its blocks, and their answers become one.

// blocks is a connection on which a foreign client is asked for blocks. On one to our own kind it changes nothing.
type blocks struct {
	net.Conn
	// secrets calls a function with the infohashes that an encrypted connection may be for, until that returns false; nil on a
	// connection that was opened here. redial opens such a one again.
	secrets mse.SecretKeyIter
	redial  func(context.Context) (net.Conn, error)
	// stream is the connection's bytes without encryption; nil before the first Read of a connection that another opened.
	stream io.ReadWriter
	// hello is the peer's handshake (BEP 3), as far as it has come.
	hello []byte
	// foreign says that a foreign client is at the other end.
	foreign atomic.Bool
	// fast says that each request is answered, with a piece or a reject (BEP 6); rejectsCancels that a cancelled one is as well.
	fast, rejectsCancels bool

	// What follows is the writer's: our handshake, as far as the library has written it, and a buffer. greeted is closed when it was sent.
	ours    []byte
	greeted chan struct{}
	out     []byte

	// What follows is the reader's: ready is what to hand on, and then pass bytes of in as they come.
	in    *bufio.Reader
	ready []byte
	pass  int64
	// low is used where our own kind is at the other end.
	low lowWater

	mu sync.Mutex
	// closed says that the library closed the connection.
	closed bool
	// open has the blocks that were asked for and not answered. There are as many as the library has requests open or cancelled:
	// that bounds the memory of what has come of them.
	open map[blockAt]*assembly
}

// blockAt is where a block begins: its piece, and its offset there.
type blockAt struct{ piece, begin uint32 }

// assembly is what has come for one request of the library.
type assembly struct {
	blockAt
	length uint32
	// message is the piece message to be; nil before the first block.
	message []byte
	// left is how many blocks are not answered, rejected says that one was rejected.
	left     int
	rejected bool
}

// The types of messages (BEP 3, BEP 6).
const (
	msgChoke   = 0
	msgRequest = 6
	msgPiece   = 7
	msgCancel  = 8
	msgReject  = 16
)

const (
	protocol = "\x13BitTorrent protocol"
	helloLen = 68
	// requestLen is a request's length with the four bytes before it, pieceHead that of a piece message without its data.
	requestLen, pieceHead = 17, 13
)

// newBlocks returns a connection that another opened.
func newBlocks(c net.Conn, secrets mse.SecretKeyIter) *blocks {
	return &blocks{Conn: c, secrets: secrets, greeted: make(chan struct{}), open: map[blockAt]*assembly{}}
}

// dialBlocks returns a connection that dial opens.
func dialBlocks(ctx context.Context, dial func(context.Context) (net.Conn, error)) (*blocks, error) {
	c, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	return &blocks{Conn: c, redial: dial, stream: c, greeted: make(chan struct{}), open: map[blockAt]*assembly{}}, nil
}

// Close implements net.Conn.
func (b *blocks) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.Conn.Close()
}

// Write implements net.Conn. The library writes our handshake in parts, and never a part of a message after it.
func (b *blocks) Write(p []byte) (int, error) {
	if len(b.ours) < helloLen {
		return len(p), b.greet(p)
	}
	out := p
	if b.foreign.Load() {
		b.out = b.out[:0]
		if err := b.split(p); err != nil {
			return 0, err
		}
		out = b.out
	}
	if _, err := b.stream.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// greet writes our handshake when it is whole: what is sent of it must not depend on when a peer refuses it.
func (b *blocks) greet(p []byte) error {
	if b.ours = append(b.ours, p...); len(b.ours) < helloLen {
		return nil
	}
	if len(b.ours) > helloLen {
		return fmt.Errorf("write to %s: more than a handshake", b.RemoteAddr())
	}
	_, err := b.stream.Write(b.ours)
	close(b.greeted)
	return err
}

// split appends the messages of p to out, each request and cancel as those of its blocks.
func (b *blocks) split(p []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(p) > 0 {
		if len(p) < 4 || len(p)-4 < int(binary.BigEndian.Uint32(p)) {
			return fmt.Errorf("write to %s: the message is not whole", b.RemoteAddr())
		}
		m := p[:4+binary.BigEndian.Uint32(p)]
		p = p[len(m):]
		if len(m) != requestLen || m[4] != msgRequest && m[4] != msgCancel {
			b.out = append(b.out, m...)
			continue
		}
		a := &assembly{blockAt: blockAt{binary.BigEndian.Uint32(m[5:]), binary.BigEndian.Uint32(m[9:])}, length: binary.BigEndian.Uint32(m[13:])}
		for at := uint32(0); at < a.length; at += pick.BlockSize {
			k := blockAt{a.piece, a.begin + at}
			b.out = appendRequest(b.out, m[4], k, min(pick.BlockSize, a.length-at))
			switch {
			case m[4] == msgRequest:
				b.open[k] = a
				a.left++
			case !b.rejectsCancels:
				delete(b.open, k)
			}
		}
	}
	return nil
}

// appendRequest appends a request, a cancel or a reject, which have the same form.
func appendRequest(out []byte, kind byte, k blockAt, length uint32) []byte {
	out = append(out, 0, 0, 0, requestLen-4, kind)
	for _, n := range []uint32{k.piece, k.begin, length} {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	return out
}

// Read implements net.Conn.
func (b *blocks) Read(p []byte) (int, error) {
	if b.stream == nil {
		if err := b.decrypt(); err != nil {
			return 0, err
		}
	}
	if len(b.hello) < helloLen {
		return b.readHello(p)
	}
	if !b.foreign.Load() {
		n, err := b.stream.Read(p)
		b.low.read(p[:n])
		return n, err
	}
	for len(b.ready) == 0 {
		if b.pass > 0 {
			n, err := b.in.Read(p[:min(int64(len(p)), b.pass)])
			b.pass -= int64(n)
			return n, err
		}
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

// decrypt makes a plain stream of a connection that another opened, with an encrypted handshake or without.
func (b *blocks) decrypt() error {
	begin := make([]byte, len(protocol))
	if _, err := io.ReadFull(b.Conn, begin); err != nil {
		return err
	}
	stream := struct {
		io.Reader
		io.Writer
	}{io.MultiReader(bytes.NewReader(begin), b.Conn), b.Conn}
	b.stream = stream
	if string(begin) == protocol {
		return nil
	}
	b.low = lowWater{}
	plain, _, err := mse.ReceiveHandshake(context.Background(), stream, b.secrets, mse.DefaultCryptoSelector)
	if err != nil {
		return fmt.Errorf("encrypted handshake with %s: %w", b.RemoteAddr(), err)
	}
	b.stream = plain
	return nil
}

// encrypt opens the connection again, with an encrypted handshake: the peer closed it instead of answering a plain one.
func (b *blocks) encrypt() error {
	select {
	case <-b.greeted:
	case <-time.After(dialTimeout):
		return fmt.Errorf("connect to %s: %w", b.RemoteAddr(), os.ErrDeadlineExceeded)
	}
	c, err := b.redial(context.Background())
	if err != nil {
		return err
	}
	b.mu.Lock()
	_ = b.Conn.Close()
	b.Conn = c
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return errors.Join(net.ErrClosed, c.Close())
	}
	if err := c.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	b.low = lowWater{}
	b.stream, _, err = mse.InitiateHandshake(c, infohashOf(b.ours), b.ours, mse.AllSupportedCrypto)
	if err != nil {
		return fmt.Errorf("encrypted handshake with %s: %w", b.RemoteAddr(), err)
	}
	return nil
}

// infohashOf is what a handshake is for: before it are the protocol's name and eight bytes of extensions, after it the peer ID.
func infohashOf(hello []byte) []byte { return hello[helloLen-40 : helloLen-20] }

// readHello reads before the end of the peer's handshake.
func (b *blocks) readHello(p []byte) (int, error) {
	n, err := b.stream.Read(p[:min(len(p), helloLen-len(b.hello))])
	if err != nil && len(b.hello)+n == 0 && b.redial != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		if err := b.encrypt(); err != nil {
			return 0, err
		}
		b.redial = nil
		n, err = b.stream.Read(p[:min(len(p), helloLen)])
	}
	if b.hello = append(b.hello, p[:n]...); len(b.hello) == helloLen {
		b.meet(b.hello)
	}
	return n, err
}

// meet learns who the peer is from its handshake.
func (b *blocks) meet(hello []byte) {
	id := string(hello[helloLen-20:])
	b.fast = hello[27]&4 != 0
	// Those before Transmission 4 don't, says the library.
	b.rejectsCancels = b.fast && !(strings.HasPrefix(id, "-TR") && id[7] == '-' && id[3] < '4')
	if !strings.HasPrefix(id, clientID) {
		b.in = bufio.NewReaderSize(b.stream, 2*pick.BlockSize)
		b.foreign.Store(true)
	}
}

// next reads a message, or as much of it as tells what it is, and sets what to hand on, if anything.
func (b *blocks) next() error {
	head, err := b.in.Peek(4)
	if err != nil {
		return err
	}
	length := int64(binary.BigEndian.Uint32(head))
	kind := -1
	if length > 0 {
		if head, err = b.in.Peek(5); err != nil {
			return unexpected(err)
		}
		kind = int(head[4])
	}
	switch {
	case kind == msgPiece && length >= pieceHead-4:
		return b.readPiece(length - (pieceHead - 4))
	case kind == msgReject && length == requestLen-4:
		return b.readReject()
	case kind == msgChoke && !b.fast:
		b.mu.Lock()
		clear(b.open) // they are forgotten there
		b.mu.Unlock()
	}
	b.pass = 4 + length
	return nil
}

// readPiece reads a block with so many bytes of data. One that isn't open is dropped: the library takes whole answers only.
func (b *blocks) readPiece(size int64) error {
	head := make([]byte, pieceHead)
	if _, err := io.ReadFull(b.in, head); err != nil {
		return unexpected(err)
	}
	if size > pick.BlockSize {
		return fmt.Errorf("read from %s: it sent a block of %d bytes, which nobody asked for", b.RemoteAddr(), size)
	}
	k := blockAt{binary.BigEndian.Uint32(head[5:]), binary.BigEndian.Uint32(head[9:])}
	a := b.take(k, size)
	if a == nil {
		_, err := b.in.Discard(int(size))
		return unexpected(err)
	}
	if a.message == nil {
		a.message = make([]byte, pieceHead+a.length)
	}
	if _, err := io.ReadFull(b.in, a.message[pieceHead+k.begin-a.begin:][:size]); err != nil {
		return unexpected(err)
	}
	b.finish(a)
	return nil
}

// readReject reads that a block was rejected.
func (b *blocks) readReject() error {
	m := make([]byte, requestLen)
	if _, err := io.ReadFull(b.in, m); err != nil {
		return unexpected(err)
	}
	k := blockAt{binary.BigEndian.Uint32(m[5:]), binary.BigEndian.Uint32(m[9:])}
	if a := b.take(k, int64(binary.BigEndian.Uint32(m[13:]))); a != nil {
		a.rejected = true
		b.finish(a)
	}
	return nil
}

// take returns what an open block of that size belongs to, and nil if there is no such. The block is open no more.
func (b *blocks) take(k blockAt, size int64) *assembly {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.open[k]
	if a == nil || size != min(pick.BlockSize, int64(a.length-(k.begin-a.begin))) {
		return nil
	}
	delete(b.open, k)
	a.left--
	return a
}

// finish hands an answer on if nothing is missing.
func (b *blocks) finish(a *assembly) {
	b.mu.Lock()
	left := a.left
	b.mu.Unlock()
	switch {
	case left > 0:
	case a.rejected:
		b.ready = appendRequest(nil, msgReject, a.blockAt, a.length)
	default:
		binary.BigEndian.PutUint32(a.message, pieceHead-4+a.length)
		a.message[4] = msgPiece
		binary.BigEndian.PutUint32(a.message[5:], a.piece)
		binary.BigEndian.PutUint32(a.message[9:], a.begin)
		b.ready = a.message
	}
}

// unexpected says that the connection ended within a message.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

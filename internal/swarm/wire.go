package swarm

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/anacrolix/torrent/mse"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// A node tells every peer of every piece it gets (have, BEP 3). In a packet of its own each, some 75 bytes with all headers and as many
// for its acknowledgement, that is a tenth of all bytes in a room of 48 with an image of 1024 pieces of 64 KiB. So these messages wait a
// little for others to go with. Those of pieces that several others have as well wait longer: nobody needs them soon.

const (
	// haveTime is how long a have message may wait; haveMost is how many may. The time is short beside the queues of a
	// slow link, and on a fast one it is the number that counts.
	haveTime = 100 * time.Millisecond
	haveMost = 8
	// laterTime and laterMost are the same for pieces that fewHolders or more have besides.
	laterTime  = time.Second
	laterMost  = 64
	fewHolders = 3
	// smallMessages, in bytes, are copied to go with them.
	smallMessages = 1 << 10
)

// haveBatcher is a connection on which have messages wait for more of them, or for anything else to send.
type haveBatcher struct {
	net.Conn
	pulse *pulse
	// news reports whether few others are known to have a piece.
	news  func(h catalog.InfoHash, piece int) bool
	timer *time.Timer

	mu sync.Mutex
	// torrent is what the connection is for; it is in our handshake.
	torrent catalog.InfoHash
	held    []byte
	// fresh is how many of those held are news; due is when they go at the latest.
	fresh int
	due   time.Time
	err   error
}

func newHaveBatcher(c net.Conn, p *pulse, news func(catalog.InfoHash, int) bool) *haveBatcher {
	b := &haveBatcher{Conn: c, pulse: p, news: news}
	b.timer = time.AfterFunc(laterTime, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.flush(nil)
	})
	return b
}

// Write implements net.Conn. An error may be that of an earlier call.
func (b *haveBatcher) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && onlyHaves(p) && b.hold(p) {
		return len(p), nil
	}
	if len(p) == helloLen && bytes.HasPrefix(p, []byte(protocol)) {
		b.torrent = catalog.InfoHash(infohashOf(p))
	}
	b.flush(p)
	if b.err != nil {
		return 0, b.err
	}
	return len(p), nil
}

// hold keeps have messages, unless with them it is time to send them.
func (b *haveBatcher) hold(p []byte) bool {
	wait := laterTime
	for m := p; len(m) > 0; m = m[haveLen:] {
		if b.news(b.torrent, int(binary.BigEndian.Uint32(m[len(havePrefix):]))) {
			b.fresh, wait = b.fresh+1, haveTime
		}
	}
	if b.fresh >= haveMost || len(b.held)+len(p) >= laterMost*haveLen {
		return false
	}
	if due := time.Now().Add(wait); len(b.held) == 0 || due.Before(b.due) {
		b.due = due
		b.timer.Reset(b.pulse.until(wait))
	}
	b.held = append(b.held, p...)
	return true
}

// flush sends what is held, and p.
func (b *haveBatcher) flush(p []byte) {
	if b.err != nil || len(b.held)+len(p) == 0 {
		return
	}
	b.fresh = 0
	switch {
	case len(b.held) == 0:
		_, b.err = b.Conn.Write(p)
		return
	case len(p) <= smallMessages:
		_, b.err = b.Conn.Write(append(b.held, p...))
	default:
		all := net.Buffers{b.held, p}
		_, b.err = writeBuffers(b.Conn, &all)
	}
	b.held = b.held[:0]
}

// Close implements net.Conn.
func (b *haveBatcher) Close() error {
	b.timer.Stop()
	return b.Conn.Close()
}

// havePrefix is how a have message begins: its length, without these four bytes, and its type. The piece follows.
var havePrefix = []byte{0, 0, 0, 5, 4}

const haveLen = 9

// onlyHaves reports whether p is have messages and nothing else. The library never writes a part of a message.
func onlyHaves(p []byte) bool {
	for ; len(p) >= haveLen; p = p[haveLen:] {
		if !bytes.HasPrefix(p, havePrefix) {
			return false
		}
	}
	return len(p) == 0
}

// wire makes the engine's connections: they are read at pulses, batch, have foreign clients asked for blocks, and wait before requests to a
// seeder, which sees the messages as the library writes them.
type wire struct {
	pulse *pulse
	// news reports whether few others have a torrent's piece, as far as is known.
	news func(h catalog.InfoHash, piece int) bool
	// look, for tests, sees what goes over a connection. paced has requests wait.
	look, paced func(net.Conn) net.Conn
	secrets     mse.SecretKeyIter
}

// below is a TCP connection with what is below foreign.go, and what follows its messages.
func (w wire) below(c net.Conn) (net.Conn, lowWater) {
	c = newPulsed(c, w.pulse)
	tcp, _ := c.(*pulsed)
	return newHaveBatcher(w.look(c), w.pulse, w.news), lowWater{conn: tcp}
}

type wireDialer struct {
	*net.Dialer
	wire wire
}

func (d wireDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	var low lowWater
	c, err := dialBlocks(ctx, func(ctx context.Context) (net.Conn, error) {
		c, err := d.Dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c, low = d.wire.below(c)
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	c.low = low
	return d.wire.paced(c), nil
}

type wireListener struct {
	net.Listener
	wire wire
}

func (l wireListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c, low := l.wire.below(c)
	b := newBlocks(c, l.wire.secrets)
	b.low = low
	return l.wire.paced(b), nil
}

package swarm

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"github.com/anacrolix/torrent/mse"
)

// A node tells every peer of every piece it gets (have, BEP 3). In a packet of its own each, some 75 bytes with all headers, that
// is a twentieth of all bytes in a room of 48 with an image of 1024 pieces of 64 KiB, acknowledgements aside. So these messages
// wait a little for others to go with.

const (
	// haveTime is how long a have message may wait; haveMost is how many may. The time is short beside the queues of a
	// slow link, and on a fast one it is the number that counts.
	haveTime = 100 * time.Millisecond
	haveMost = 8
	// smallMessages, in bytes, are copied to go with them.
	smallMessages = 1 << 10
)

// haveBatcher is a connection on which have messages wait for more of them, or for anything else to send.
type haveBatcher struct {
	net.Conn
	pulse *pulse
	timer *time.Timer

	mu   sync.Mutex
	held []byte
	err  error
}

func newHaveBatcher(c net.Conn, p *pulse) *haveBatcher {
	b := &haveBatcher{Conn: c, pulse: p}
	b.timer = time.AfterFunc(haveTime, func() {
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
	if b.err == nil && onlyHaves(p) && len(b.held)+len(p) < haveMost*haveLen {
		if len(b.held) == 0 {
			b.timer.Reset(b.pulse.until(haveTime))
		}
		b.held = append(b.held, p...)
		return len(p), nil
	}
	b.flush(p)
	if b.err != nil {
		return 0, b.err
	}
	return len(p), nil
}

// flush sends what is held, and p.
func (b *haveBatcher) flush(p []byte) {
	if b.err != nil || len(b.held)+len(p) == 0 {
		return
	}
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
	// look, for tests, sees what goes over a connection. paced has requests wait.
	look, paced func(net.Conn) net.Conn
	secrets     mse.SecretKeyIter
}

// below is a TCP connection with what is below foreign.go, and what follows its messages.
func (w wire) below(c net.Conn) (net.Conn, lowWater) {
	c = newPulsed(c, w.pulse)
	tcp, _ := c.(*pulsed)
	return newHaveBatcher(w.look(c), w.pulse), lowWater{conn: tcp}
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

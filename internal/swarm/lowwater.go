package swarm

import (
	"encoding/binary"
	"net"
	"syscall"
)

// Over a slow link a packet comes every few milliseconds, and each would wake the program for one read: of eight nodes
// on links of 14 Mbit/s that was a quarter of what they cost. So while a large message is coming, the kernel is told to wake the program when all of it is
// there (SO_RCVLOWAT, socket(7)). What a peer has sent of a block is of no use before.

const (
	// leastLow is the least that is waited for so, in bytes, mostLow the most. Telling the kernel costs as much as a read.
	leastLow, mostLow = 6 << 10, pieceHead + 64<<10
	// drained is what a read returns at most where packets come one by one. Where more comes the link is fast.
	drained = 16 << 10
)

// lowWater follows the messages that come over a connection, from the first after the handshake on. The zero value does nothing.
type lowWater struct {
	raw syscall.RawConn
	// head has the message's length as far as it has come, headed is how much of it has; left is how much of the message is to come.
	head   [4]byte
	headed int
	left   int64
	// set is what the kernel waits for.
	set int64
}

// newLowWater returns one for a TCP connection, or for what has one below it.
func newLowWater(c net.Conn) lowWater {
	if outer, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = outer.NetConn()
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			return lowWater{raw: raw, set: 1}
		}
	}
	return lowWater{}
}

// read takes up what came at a time.
func (l *lowWater) read(p []byte) {
	if l.raw == nil {
		return
	}
	came := len(p)
	for len(p) > 0 {
		if l.left > 0 {
			n := min(l.left, int64(len(p)))
			l.left, p = l.left-n, p[n:]
			continue
		}
		n := copy(l.head[l.headed:], p)
		l.headed, p = l.headed+n, p[n:]
		if l.headed == len(l.head) {
			l.headed, l.left = 0, int64(binary.BigEndian.Uint32(l.head[:]))
		}
	}
	switch {
	case came < drained && l.left >= leastLow:
		l.wait(min(l.left, mostLow))
	case l.set > l.left:
		l.wait(1)
	}
}

// wait has the kernel wait for so many bytes. Where it can't, nothing changes.
func (l *lowWater) wait(bytes int64) {
	if l.set == bytes {
		return
	}
	err := l.raw.Control(func(fd uintptr) {
		if syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, int(bytes)) != nil {
			l.raw = nil
		}
	})
	if err != nil {
		l.raw = nil // it is closed
	}
	l.set = bytes
}

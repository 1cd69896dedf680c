package swarm

import "encoding/binary"

// Where there are no pulses (pulse.go), each packet would wake the program for one read. So while a large message is coming, the kernel is
// told to wake the program when all of it is there (SO_RCVLOWAT, socket(7)). What a peer has sent of a block is of no use before. Of one
// node on a link of 100 Mbit/s it is two fifths of what it costs.

const (
	// leastLow is the least that is waited for so, in bytes, mostLow the most. Telling the kernel costs as much as a read.
	leastLow, mostLow = 6 << 10, pieceHead + 64<<10
	// drained is what a read returns at most where packets come one by one. Where more comes the link is fast.
	drained = 16 << 10
)

// lowWater follows the messages that come over a connection, from the first after the handshake on. The zero value does nothing.
type lowWater struct {
	conn *pulsed
	// head has the message's length as far as it has come, headed is how much of it has; left is how much of the message is to come.
	head   [4]byte
	headed int
	left   int64
}

// read takes up what came at a time.
func (l *lowWater) read(p []byte) {
	if l.conn == nil {
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
	case l.conn.atPulses:
	case came < drained && l.left >= leastLow:
		l.conn.setLow(int(min(l.left, mostLow)))
	case l.conn.low > int(l.left):
		l.conn.setLow(1)
	}
}

package swarm

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Over slow links a packet comes every few milliseconds, on one connection or another. Each would wake the program for one read, and what
// it does then it does with cold caches: of eight nodes on links of 14 Mbit/s that was two fifths of what they cost. So a node reads
// all its connections at the same moments, pulses, and what it sends for it goes out then too. How far they are apart follows from what
// is transferred. Over fast links, from few peers, and where nothing is, each connection is read as something comes (lowwater.go).

const (
	// pulseBytes are received and sent in a pulse. With a third more, those eight nodes needed 2 % longer, as a link falls idle now and then
	// while requests wait to be read.
	pulseBytes = 96 << 10
	// Where pulses would be less than shortestPulse apart there are none. They are longestPulse apart at most, or crowdPulse for each of those
	// who bring something: of many there is only now and then something to read.
	shortestPulse, longestPulse, crowdPulse = 5 * time.Millisecond, 25 * time.Millisecond, 3 * time.Millisecond
	// pulsePeers have to bring something, pulseShare bytes each and thus more than have messages, between two looks. Of few peers too little is
	// asked for at a time: what a pulse makes them wait the link is idle. With pulses one node on a link of 100 Mbit/s took 30 s instead of 5.
	pulsePeers, pulseShare = 4, 2 << 10
	// pulseLook is how often it is looked at what was transferred. It is nothing below leastRate, in bytes per second.
	pulseLook = 500 * time.Millisecond
	leastRate = 64 << 10
	// pulseLow is how much has to come to wake the program nevertheless (SO_RCVLOWAT, socket(7)). It is what a socket's buffer holds at first.
	pulseLow = 64 << 10
	// crowdBytes, or what comes in crowdTime if that is more, are what peers may have on the way to a node together. A small switch keeps so
	// much for a cable, and what is more is lost: in a room of 48 on links of 4 Mbit/s every twentieth packet was, and was sent again. So each may
	// have its part of that on the way (TCP_WINDOW_CLAMP, tcp(7)), leastWindow bytes at least; from mostWindow on it is left to the kernel.
	crowdBytes, crowdTime   = 256 << 10, 50 * time.Millisecond
	leastWindow, mostWindow = 4 << 10, 32 << 10
	// windowBytes may come until a connection's window is set again: the kernel raises it by itself.
	windowBytes = 4 << 10
	// noClamp is the largest window that there is (RFC 7323).
	noClamp = 1 << 30
)

// pulse is when an engine's connections are read: at multiples of a period, or as something comes. A nil one has none, and so has a new one.
type pulse struct {
	zero time.Time
	// never says that there are to be none.
	never bool
	// bytes are those transferred since looked; that and period are in nanoseconds. period is 0 where there are no pulses. window is what a peer
	// may have on the way, in bytes, 0 if the kernel decides.
	bytes, looked, period, window atomic.Int64
	// look counts the looks, and peers the connections that have brought something since the last.
	look, peers atomic.Int32
}

// newPulse returns one whose pulses are counted from any moment: the nodes of a room, all switched on at once, are not to send at once.
func newPulse() *pulse { return &pulse{zero: time.Now().Add(-rand.N(longestPulse))} }

// moved takes up that so many bytes were received or sent.
func (p *pulse) moved(bytes int) {
	if p.never {
		return
	}
	p.bytes.Add(int64(bytes))
	now, looked := int64(time.Since(p.zero)), p.looked.Load()
	if elapsed := now - looked; elapsed >= int64(pulseLook) && p.looked.CompareAndSwap(looked, now) {
		p.look.Add(1)
		rate, peers := float64(p.bytes.Swap(0))/time.Duration(elapsed).Seconds(), int(p.peers.Swap(0))
		period := pulsePeriod(rate, peers)
		p.period.Store(int64(period))
		if period == 0 {
			p.window.Store(0)
		} else {
			p.window.Store(pulseWindow(rate, peers))
		}
	}
}

// pulsePeriod is the time between pulses where so many bytes a second are transferred, and so many peers have brought something; 0 where
// there are to be none.
func pulsePeriod(rate float64, peers int) time.Duration {
	if rate < leastRate || peers < pulsePeers {
		return 0
	}
	period := time.Duration(pulseBytes / rate * float64(time.Second))
	if period < shortestPulse {
		return 0
	}
	return min(period, max(longestPulse, time.Duration(peers)*crowdPulse))
}

// pulseWindow is how many bytes each of so many peers may have on the way; 0 if the kernel decides. As much is taken to be received as sent.
func pulseWindow(rate float64, peers int) int64 {
	window := max(crowdBytes, int64(rate/2*crowdTime.Seconds())) / int64(peers)
	if window >= mostWindow {
		return 0
	}
	return max(window, leastWindow)
}

// until is how long it is from now to the first pulse after the given time; the time itself where there are none.
func (p *pulse) until(after time.Duration) time.Duration {
	if p == nil {
		return after
	}
	period := time.Duration(p.period.Load())
	if period == 0 {
		return after
	}
	return after + period - (time.Since(p.zero)+after)%period
}

// pulsed is a TCP connection that is read at pulses.
type pulsed struct {
	net.Conn
	pulse *pulse
	raw   syscall.RawConn

	// What follows is the reader's: whether it reads at pulses, and how many bytes have to come to wake it; the window as it was set last, and
	// what came since; what came since which look; what poll reads into, and with what result.
	atPulses bool
	low      int
	window   int64
	set      int
	came     int
	look     int32
	p        []byte
	n        int
	err      error
	// try reads once; it is made once, as a poll must not cost memory.
	try func(fd uintptr) bool
}

// newPulsed returns a connection that is read at pulses, or c itself if it can't be: it is no TCP connection, and has none below it.
func newPulsed(c net.Conn, p *pulse) net.Conn {
	below := c
	if outer, ok := c.(interface{ NetConn() net.Conn }); ok {
		below = outer.NetConn()
	}
	tcp, ok := below.(*net.TCPConn)
	if !ok || p == nil {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c // it is closed
	}
	reader := &pulsed{Conn: c, pulse: p, raw: raw, low: 1}
	reader.try = func(fd uintptr) bool {
		for {
			if reader.n, reader.err = syscall.Read(int(fd), reader.p); reader.err != syscall.EINTR {
				return true
			}
		}
	}
	return reader
}

// Read implements net.Conn.
func (c *pulsed) Read(p []byte) (int, error) {
	for {
		period := c.pulse.period.Load()
		switch at := period > 0; {
		case at && !c.atPulses:
			c.setLow(pulseLow)
		case c.atPulses && !at:
			c.setLow(1)
		}
		c.atPulses = period > 0
		if period == 0 || len(p) == 0 {
			n, err := c.Conn.Read(p)
			c.received(n)
			return n, err
		}
		n, err := c.poll(p)
		c.received(n)
		if err != syscall.EAGAIN {
			return n, err
		}
		time.Sleep(c.pulse.until(0))
	}
}

// received takes up what was read.
func (c *pulsed) received(n int) {
	if look := c.pulse.look.Load(); look != c.look {
		c.look, c.came = look, 0
	}
	if c.came < pulseShare && c.came+n >= pulseShare {
		c.pulse.peers.Add(1)
	}
	c.came += n
	c.set += n
	if window := c.pulse.window.Load(); window != c.window || window > 0 && c.set >= windowBytes {
		c.setWindow(window)
	}
	c.pulse.moved(n)
}

// setWindow sets how many bytes may be on the way; with 0 the kernel decides. Where it can't, more is lost.
func (c *pulsed) setWindow(window int64) {
	c.window, c.set = window, 0
	clamp := int(window)
	if clamp == 0 {
		clamp = noClamp
	}
	_ = c.raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_WINDOW_CLAMP, clamp)
	})
}

// poll reads what is there. The error is EAGAIN if that is nothing.
func (c *pulsed) poll(p []byte) (int, error) {
	c.p = p
	err := c.raw.Read(c.try)
	c.p = nil
	switch {
	case err != nil: // it is closed here, or its deadline is over
		return 0, err
	case c.err == syscall.EAGAIN:
		return 0, c.err
	case c.err != nil:
		return 0, os.NewSyscallError("read", c.err)
	case c.n == 0:
		return 0, io.EOF
	}
	return c.n, nil
}

// setLow has the kernel wake the program when so many bytes have come. Where it can't, it wakes it too often.
func (c *pulsed) setLow(bytes int) {
	if c.low == bytes {
		return
	}
	c.low, c.set = bytes, windowBytes // the kernel may raise the window for it
	_ = c.raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes) })
}

// Write implements net.Conn.
func (c *pulsed) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.pulse.moved(n)
	return n, err
}

// WriteBuffers writes several at once, as net.Buffers does it to a TCP connection.
func (c *pulsed) WriteBuffers(b *net.Buffers) (int64, error) {
	n, err := writeBuffers(c.Conn, b)
	c.pulse.moved(int(n))
	return n, err
}

// writeBuffers writes several buffers at once where a connection can, also one below which there is one that can.
func writeBuffers(c net.Conn, b *net.Buffers) (int64, error) {
	if c, ok := c.(interface {
		WriteBuffers(*net.Buffers) (int64, error)
	}); ok {
		return c.WriteBuffers(b)
	}
	return b.WriteTo(c)
}

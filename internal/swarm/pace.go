package swarm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// A node that has got its share asks the seeder for one block at a time of what it can have from others. Over a slow link that fills
// what is idle of it: the answer takes the longer the more others send. Where processors are the limit the link is always idle and
// the seeder answers at once; so there a node takes its time before it asks.

const (
	// pauseTime is how long it waits before each block for each of its connections, so that the nodes of a small room together ask the
	// seeder for a block in that time; longestPause is how long it waits for a block at most.
	pauseTime    = 10 * time.Millisecond
	longestPause = 100 * time.Millisecond
	// mostPaused is how many bytes it waits for in one request at most.
	mostPaused = 64 << 10
	// busyIdle is the part of the processors' time below which they are the limit.
	busyIdle = 0.1
	// noticeable is the part of one processor's time below which it does not matter to this program whether they are.
	noticeable = 0.02
)

// pacedConn is a connection on which requests wait if it leads to a seeder.
type pacedConn struct {
	net.Conn
	seeder func() bool
	// pause is how long to wait before so many bytes are asked for.
	pause func(bytes int64) time.Duration
}

// requestPrefix is how a request begins (BEP 3): its length, without these four bytes, and its type. A node sends the seeder no
// pieces in which the same bytes could be.
var requestPrefix = []byte{0, 0, 0, 13, 6}

// Write implements net.Conn.
func (c pacedConn) Write(p []byte) (int, error) {
	if !c.seeder() {
		return c.Conn.Write(p)
	}
	if _, request, ok := bytes.Cut(p, requestPrefix); ok && len(request) >= 12 { // piece, offset and length
		time.Sleep(c.pause(int64(binary.BigEndian.Uint32(request[8:]))))
	}
	return c.Conn.Write(p)
}

// paced has requests wait while the connection is one to a seeder.
func (e *Engine) paced(c net.Conn) net.Conn {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return c
	}
	addr := a.Addr().Unmap()
	return pacedConn{c, func() bool { return e.seeders.has(addr) }, e.seederPause}
}

// seederPause is how long to wait before the seeder is asked for so many bytes.
func (e *Engine) seederPause(bytes int64) time.Duration {
	if e.processors.busy.Load() {
		return e.pauseWhenBusy() * time.Duration(min(bytes, mostPaused)/pick.BlockSize)
	}
	return 0
}

// pauseWhenBusy is seederPause for a block where processors are the limit: 0 for what only the seeder has.
func (e *Engine) pauseWhenBusy() time.Duration {
	connections := 0
	for _, f := range e.entries() {
		if f.window.left.Load() > 0 {
			return 0
		}
		connections += e.conns.count(f)
	}
	return min(time.Duration(connections)*pauseTime, longestPause)
}

// processors says whether this machine's have time left. The zero value is ready; look is for one goroutine at a time.
type processors struct {
	busy      atomic.Bool
	all, idle uint64
	// used is what this program has used, looked when that was.
	used   time.Duration
	looked time.Time
}

// look takes up the time since the last call. What the kernel says of all programs costs a good part of a millisecond, and is of no
// interest where this one does next to nothing.
func (p *processors) look() {
	used, now := processorTime(), time.Now()
	idle := float64(used-p.used) < noticeable*float64(now.Sub(p.looked))
	p.used, p.looked = used, now
	if idle {
		p.busy.Store(false)
		p.all, p.idle = 0, 0 // begin anew then
		return
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return
	}
	p.count(string(stat))
}

// count takes up what /proc/stat says (proc(5)): its first line begins with the time in ticks that all processors together spent as
// user, nice, system, idle, iowait, irq, softirq and steal.
func (p *processors) count(stat string) {
	line, _, _ := strings.Cut(stat, "\n")
	var t [8]uint64
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]); err != nil {
		return
	}
	all, idle := uint64(0), t[3]+t[4]
	for _, n := range t {
		all += n
	}
	p.busy.Store(p.all > 0 && float64(idle-p.idle) < busyIdle*float64(all-p.all))
	p.all, p.idle = all, idle
}

package admit

import (
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/boottorrent/boottorrent/internal/quota"
)

// maxConnections is how many connections are open: one for each of 10,000 nodes, which keep theirs between two reports, and some for
// firmware and people. An idle one takes some 20 kB, all of them 250 MB.
const maxConnections = 12288

// MaxConnections is how many connections this process can have: maxConnections, or three quarters of its descriptors, as the
// seed, the systems' files and the leases want some too.
func MaxConnections() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 512
	}
	return int(min(maxConnections, limit.Cur/4*3))
}

// conn is a connection that was let in.
type conn struct {
	net.Conn
	policy *Policy
	// item, serving and closed are guarded by policy.mu. serving is how many requests are being served on it: 0 or 1.
	item    *quota.Item[*conn]
	serving int
}

// Listener lets connections in. When there are too many, the one that has made no progress for longest is closed: of the address that
// has the most, if that is more than a quarter of all, else of everybody's. A connection whose request is being served gives way
// only in the first case, and only to another address; then the newcomer is told to come again.
func (p *Policy) Listener(l net.Listener) net.Listener { return &listener{l, p} }

type listener struct {
	net.Listener
	policy *Policy
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.policy.admit(raw); c != nil {
			return c, nil
		}
		l.policy.refuse("connection", "there are too many", raw.RemoteAddr().String())
		l.policy.turnAway(raw)
	}
}

// admit makes a connection one of the policy's; nil if it has to wait.
func (p *Policy) admit(raw net.Conn) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &conn{Conn: raw, policy: p}
	addr := addrOf(raw.RemoteAddr().String())
	c.item = p.conns.Add(addr, 1, c)
	victim := p.conns.Excess()
	if victim == nil {
		return c
	}
	if victim.Value.serving > 0 && !(p.conns.Greedy() && victim.Owner() != addr) {
		victim = p.idle(c.item)
	}
	if victim == nil {
		p.conns.Remove(c.item)
		return nil
	}
	p.conns.Remove(victim)
	_ = victim.Value.Conn.Close()
	return c
}

// idle is the connection without progress for longest on which no request is served; nil if there is none among the first few. The
// newcomer is not one of them.
func (p *Policy) idle(newcomer *quota.Item[*conn]) *quota.Item[*conn] {
	tries := 64
	for item := range p.conns.All {
		if tries--; item == newcomer || tries < 0 {
			return nil
		}
		if item.Value.serving == 0 {
			return item
		}
	}
	return nil
}

// turnAway tells a client to come again, for no longer than a second, and to so many at a time only.
func (p *Policy) turnAway(raw net.Conn) {
	select {
	case p.turning <- struct{}{}:
	default:
		_ = raw.Close()
		return
	}
	go func() {
		defer func() { <-p.turning }()
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(time.Second))
		// The request is read first: a connection that is closed with something unread is reset, and the answer may be lost.
		_, _ = raw.Read(make([]byte, 4096))
		const text = "the seeder has too many connections; come again in a few seconds\n"
		_, _ = fmt.Fprintf(raw, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Type: text/plain; charset=utf-8\r\n"+
			"Content-Length: %d\r\nConnection: close\r\n\r\n%s", RetryAfter, len(text), text)
	}()
}

// serve notes that a request is being served until the function that it returns is called.
func (c *conn) serve() (done func()) {
	c.count(1)
	return func() { c.count(-1) }
}

func (c *conn) count(more int) {
	c.policy.mu.Lock()
	defer c.policy.mu.Unlock()
	c.serving += more
	c.policy.conns.Touch(c.item)
}

// cut ends a connection from outside; nil is none. The lock may be held.
func (c *conn) cut() {
	if c != nil {
		_ = c.Conn.Close()
	}
}

// progress makes the connection the last to give way.
func (c *conn) progress() {
	c.policy.mu.Lock()
	defer c.policy.mu.Unlock()
	c.policy.conns.Touch(c.item)
}

// Write implements io.Writer.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err == nil {
		c.progress()
	}
	return n, err
}

// ReadFrom implements io.ReaderFrom, by which files are sent with sendfile(2).
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.Conn, r)
	if err == nil {
		c.progress()
	}
	return n, err
}

// Close implements io.Closer.
func (c *conn) Close() error {
	c.policy.mu.Lock()
	c.policy.conns.Remove(c.item)
	c.policy.mu.Unlock()
	return c.Conn.Close()
}

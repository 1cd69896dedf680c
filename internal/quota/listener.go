package quota

import (
	"net"
	"net/netip"
	"sync"
)

// Listener lets at most limit connections be open at a time. When there are more, one gives way: of the address that has the most, if
// that is more than a quarter, else of all, the one to which nothing has been sent for longest. Whoever connects and says nothing
// gets nothing sent.
func Listener(l net.Listener, limit int) net.Listener {
	return &listener{Listener: l, conns: New[*conn](int64(limit))}
}

type listener struct {
	net.Listener
	mu    sync.Mutex
	conns *Stock[*conn]
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	from, _ := netip.ParseAddrPort(raw.RemoteAddr().String())
	c := &conn{Conn: raw, of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.item = l.conns.Add(from.Addr().Unmap(), 1, c)
	if gone := l.conns.Excess(); gone != nil {
		l.conns.Remove(gone)
		_ = gone.Value.Conn.Close()
	}
	return c, nil
}

// conn is a connection of a listener.
type conn struct {
	net.Conn
	of   *listener
	item *Item[*conn]
}

// NetConn returns the connection below it, as that of a tls.Conn does.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Write implements io.Writer.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.wrote(err)
	return n, err
}

// WriteBuffers writes several buffers at once, where the connection below it can.
func (c *conn) WriteBuffers(b *net.Buffers) (int64, error) {
	n, err := b.WriteTo(c.Conn)
	c.wrote(err)
	return n, err
}

// wrote makes it the connection to which something was sent last, if it was.
func (c *conn) wrote(err error) {
	if err == nil {
		c.of.mu.Lock()
		c.of.conns.Touch(c.item)
		c.of.mu.Unlock()
	}
}

// Close implements io.Closer.
func (c *conn) Close() error {
	c.of.mu.Lock()
	c.of.conns.Remove(c.item)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

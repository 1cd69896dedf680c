package remote

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/quota"
)

// pending are the connections that have not proved yet who they are.
type pending struct {
	mu    sync.Mutex
	conns *quota.Stock[net.Conn]
}

func newPending() *pending { return &pending{conns: quota.New[net.Conn](maxPending)} }

// add makes a connection pending until the function that it returns is called, and closes another one if there are too many.
func (p *pending) add(conn net.Conn) (arrived func()) {
	from, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	p.mu.Lock()
	defer p.mu.Unlock()
	item := p.conns.Add(from.Addr().Unmap(), 1, conn)
	if gone := p.conns.Excess(); gone != nil {
		p.conns.Remove(gone)
		_ = gone.Value.Close()
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.conns.Remove(item)
	}
}

// strangersTime is how often it is logged at most that somebody did not get in: the log is sent to the seeder, and kept in memory.
const strangersTime = 10 * time.Second

// strangers are those that did not get in.
type strangers struct {
	mu     sync.Mutex
	logged time.Time
	since  int
}

func (s *strangers) log(logf func(string, ...any), from net.Addr, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since++; time.Since(s.logged) < strangersTime {
		return
	}
	if s.since == 1 {
		logf("ssh: %s did not get in: %v", from, err)
	} else {
		logf("ssh: %s did not get in: %v; nor did %d others since the last such line", from, err, s.since-1)
	}
	s.logged, s.since = time.Now(), 0
}

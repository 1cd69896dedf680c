package tftp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/boottorrent/boottorrent/seeder/port"
)

// listeners are the sockets that requests are taken on, which may change while they are served.
type listeners struct {
	mu   sync.Mutex
	open map[netip.AddrPort]*net.UDPConn
	// start serves a socket; nil before Serve and when it ends.
	start func(*net.UDPConn)
}

// Listen opens the sockets. An error names the address that can't be listened on, and the process that has it.
func (s *Server) Listen() error {
	if err := s.Move(s.cfg.Listen); err != nil {
		s.Close()
		return err
	}
	return nil
}

// Move listens on these addresses and no others. Where one can't be had, the others are, and it is tried again with the next
// call. Transfers that are going on end by themselves.
func (s *Server) Move(to []netip.AddrPort) error {
	s.listen.mu.Lock()
	defer s.listen.mu.Unlock()
	for at, conn := range s.listen.open {
		if !slices.Contains(to, at) {
			_ = conn.Close()
			delete(s.listen.open, at)
		}
	}
	var errs []error
	for _, at := range to {
		if s.listen.open[at] != nil {
			continue
		}
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			errs = append(errs, port.Explain(err, "udp", at, func(p *port.Process) string { return Remedy(p, at.Port()) }))
			continue
		}
		if s.listen.open == nil {
			s.listen.open = map[netip.AddrPort]*net.UDPConn{}
		}
		s.listen.open[at] = conn
		if s.listen.start != nil {
			s.listen.start(conn)
		}
	}
	return errors.Join(errs...)
}

// Close closes the sockets, which Serve does as well.
func (s *Server) Close() {
	s.listen.mu.Lock()
	defer s.listen.mu.Unlock()
	s.listen.start = nil
	for at, conn := range s.listen.open {
		_ = conn.Close()
		delete(s.listen.open, at)
	}
}

// Serve answers on the sockets that Listen and Move opened until ctx is done; then it ends all transfers and returns nil.
func (s *Server) Serve(ctx context.Context) error {
	var readers, transfers sync.WaitGroup
	start := func(conn *net.UDPConn) { readers.Go(func() { s.answer(ctx, conn, &transfers) }) }
	s.listen.mu.Lock()
	for _, conn := range s.listen.open {
		start(conn)
	}
	s.listen.start = start
	s.listen.mu.Unlock()
	<-ctx.Done()
	s.Close()
	readers.Wait()
	transfers.Wait()
	return nil
}

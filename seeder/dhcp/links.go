package dhcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/boottorrent/boottorrent/internal/site"
)

// links are the sockets of all interfaces, which may move while they are served.
type links struct {
	mu  sync.Mutex
	all []*link
	// start serves a link; nil before Serve.
	start func(*link)
}

// Listen opens the sockets of every interface. An error says which port of which interface could not be had, who has it
// and what to do. With mode off there are none.
func (s *Server) Listen(ctx context.Context) error {
	s.links.mu.Lock()
	defer s.links.mu.Unlock()
	for _, h := range s.handlers {
		l, err := openLink(ctx, h)
		if err != nil {
			s.links.close()
			return fmt.Errorf("dhcp: %w", err)
		}
		s.links.all = append(s.links.all, l)
	}
	return nil
}

// close closes all sockets. The lock must be held.
func (ls *links) close() {
	for _, l := range ls.all {
		l.close()
	}
}

func (s *Server) closeLinks() {
	s.links.mu.Lock()
	defer s.links.mu.Unlock()
	s.links.start = nil
	s.links.close()
}

// Serve answers on the sockets that Listen and Move opened until ctx ends, and closes them.
func (s *Server) Serve(ctx context.Context) {
	var wg sync.WaitGroup
	start := func(l *link) {
		s.log.Info("DHCP service listens", "interface", l.h.iface.Name, "addr", l.h.addr(), "mode", l.h.mode())
		for _, p := range l.ports {
			wg.Go(func() { s.read(ctx, &wg, l, p) })
		}
		if l.overheard != nil {
			wg.Go(func() { l.h.overhear(ctx, l.overheard) })
		}
		if l.prober != nil {
			wg.Go(l.prober.run)
			wg.Go(func() { s.warnOfServers(ctx, l) })
		}
	}
	s.links.mu.Lock()
	for _, l := range s.links.all {
		start(l)
	}
	s.links.start = start
	s.links.mu.Unlock()
	<-ctx.Done()
	s.closeLinks()
	wg.Wait()
}

// Move serves the interfaces as they are now: those that have another address, or went and came back as another device of that
// name, get new sockets. Leases stay. What can't be opened is tried again with the next call; those that on does not name stay
// as they are.
func (s *Server) Move(ctx context.Context, on []Interface) error {
	s.links.mu.Lock()
	defer s.links.mu.Unlock()
	var errs []error
	for n, l := range s.links.all {
		i := slices.IndexFunc(on, func(i Interface) bool { return i.Name == l.h.iface.Name })
		if i < 0 || on[i] == l.h.iface && len(l.ports) > 0 || !on[i].Addr.Addr().Is4() {
			continue
		}
		l.close() // first: both can't have the ports
		moved := &link{h: s.moved(l.h, on[i])}
		if opened, err := openLink(ctx, moved.h); err != nil {
			errs = append(errs, fmt.Errorf("dhcp: %w", err))
		} else {
			moved = opened
		}
		s.links.all[n] = moved
		if s.links.start != nil && len(moved.ports) > 0 {
			s.links.start(moved)
		}
	}
	return errors.Join(errs...)
}

// moved is the handler for an interface that has another address now. A range that is not in its network any more is not handed
// out there: machines could not reach the seeder with such an address.
func (s *Server) moved(old *handler, now Interface) *handler {
	h := &handler{iface: now, boot: old.boot}
	for _, p := range s.pools {
		if len(homes(p.cfg, []Interface{now})) > 0 {
			p.take(now.Addr.Addr())
			h.pool = p
			return h
		}
	}
	if old.pool != nil {
		s.log.Error("an interface has another address, outside of its range; no machine there gets an address from here until one of the two is corrected",
			"interface", now.Name, "addr", now.Addr, "range", old.pool.cfg.First.String()+" to "+old.pool.cfg.Last.String(), "mode", site.DHCPProxy)
	}
	return h
}

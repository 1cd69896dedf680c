package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// maxProbes bounds how many addresses in use are found for one DHCPDISCOVER before the client has to ask again.
const maxProbes = 4

// Listen opens the sockets of every interface. An error says which port of which interface could not be had, who has it
// and what to do. With mode off there are none.
func (s *Server) Listen(ctx context.Context) error {
	for _, h := range s.handlers {
		l, err := openLink(ctx, h)
		if err != nil {
			s.closeLinks()
			return fmt.Errorf("dhcp: %w", err)
		}
		s.links = append(s.links, l)
	}
	return nil
}

func (s *Server) closeLinks() {
	for _, l := range s.links {
		l.close()
	}
}

// Serve answers on the sockets that Listen opened until ctx ends, and closes them.
func (s *Server) Serve(ctx context.Context) {
	var wg sync.WaitGroup
	for _, l := range s.links {
		s.log.Info("DHCP service listens", "interface", l.h.iface.Name, "addr", l.h.addr(), "mode", l.h.mode())
		for _, p := range l.ports {
			wg.Go(func() { s.read(ctx, &wg, l, p) })
		}
		if l.prober != nil {
			wg.Go(l.prober.run)
		}
	}
	<-ctx.Done()
	s.closeLinks()
	wg.Wait()
}

// read answers what comes to one port until its socket is closed.
func (s *Server) read(ctx context.Context, wg *sync.WaitGroup, l *link, p port) {
	buf := make([]byte, 1<<16) // the longest datagram
	for {
		payload, src, err := p.read(buf)
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// The interface went down; it may come back.
			s.write(l, nil, note{level: slog.LevelWarn, text: "DHCP read failed", attrs: []any{"err", err.Error()}, once: "read " + l.h.iface.Name})
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		req, err := dhcpv4.FromBytes(payload)
		if err != nil {
			s.write(l, nil, ignore("%d bytes from %s are no DHCP packet: %v", len(payload), src.addr, err).note)
			continue
		}
		s.answer(ctx, wg, l, p, req, src)
	}
}

// answer answers one request, later if an address has to be probed first: other clients don't wait for that.
func (s *Server) answer(ctx context.Context, wg *sync.WaitGroup, l *link, p port, req *dhcpv4.DHCPv4, src source) {
	d := l.h.handle(req, p.number())
	if !d.probe.IsValid() {
		s.reply(l, p, req, src, d)
		return
	}
	mac := req.ClientHWAddr.String()
	if !s.startProbing(mac) {
		s.write(l, req, ignore("an address is being probed for it").note)
		return
	}
	wg.Go(func() {
		defer s.stopProbing(mac)
		for range maxProbes {
			s.write(l, req, d.note)
			user, err := l.prober.probe(ctx, d.probe, probeTimeout)
			if ctx.Err() != nil {
				return
			}
			if err != nil { // The interface is down, and so is the client.
				s.write(l, req, note{level: slog.LevelWarn, text: "address not probed", attrs: []any{"err", err.Error()}})
				return
			}
			if user != nil && user.String() != mac {
				s.write(l, req, note{level: slog.LevelWarn, text: "address is in use by a machine that did not get it here; it is left alone for a while",
					attrs: []any{"addr", d.probe, "user", user.String(), "for", quarantineTime}})
			}
			if d = l.h.probed(req, d.probe, user); !d.probe.IsValid() {
				s.reply(l, p, req, src, d)
				return
			}
		}
	})
}

// reply sends what was decided and logs it.
func (s *Server) reply(l *link, p port, req *dhcpv4.DHCPv4, src source, d decision) {
	if d.reply != nil {
		if err := p.send(d.reply.ToBytes(), deliver(req, d.reply, src.addr, p.number()), src); err != nil {
			d.note.level, d.note.attrs = slog.LevelError, append(d.note.attrs, "err", err.Error())
		}
	}
	s.write(l, req, d.note)
}

// write logs a note about a request; req may be nil.
func (s *Server) write(l *link, req *dhcpv4.DHCPv4, n note) {
	if n.text == "" || n.once != "" && !s.limit.allow(n.once, time.Now()) {
		return
	}
	attrs := []any{"interface", l.h.iface.Name}
	if req != nil {
		attrs = append(attrs, "mac", req.ClientHWAddr.String())
	}
	s.log.Log(context.Background(), n.level, n.text, append(attrs, n.attrs...)...)
}

// startProbing reports whether no address is being probed for that client yet, and notes that one is.
func (s *Server) startProbing(mac string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probing[mac] {
		return false
	}
	s.probing[mac] = true
	return true
}

func (s *Server) stopProbing(mac string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.probing, mac)
}

// mode names what is served on the interface.
func (h *handler) mode() string {
	if h.pool != nil {
		return "server: hands out " + h.pool.cfg.First.String() + " to " + h.pool.cfg.Last.String()
	}
	return "proxy: beside another DHCP server"
}

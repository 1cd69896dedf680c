package dhcp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/internal/dhcpwire"
)

// maxProbes bounds how many addresses in use are found for one DHCPDISCOVER before the client has to ask again.
const maxProbes = 4

// read answers what comes to one port until its socket is closed.
func (s *Server) read(ctx context.Context, wg *sync.WaitGroup, l *link, p endpoint) {
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
		req, err := dhcpwire.Read(payload)
		if err != nil {
			s.observe(messageName(nil), Unreadable)
			s.write(l, nil, note{level: slog.LevelWarn, text: "DHCP request not answered", attrs: []any{"why", err.Error(), "from", src.addr, "bytes", len(payload)},
				once: "garbage " + l.h.iface.Name, every: time.Hour})
			continue
		}
		s.answer(ctx, wg, l, p, req, src)
	}
}

// answer answers one request, later if an address has to be probed first: other clients don't wait for that.
func (s *Server) answer(ctx context.Context, wg *sync.WaitGroup, l *link, p endpoint, req *dhcpv4.DHCPv4, src source) {
	claimAddress(req, src)
	d := l.h.handle(req, p.number())
	if d.stuck != nil {
		s.explain(ctx, wg, l, req, d.stuck)
	}
	if !d.probe.IsValid() {
		s.reply(l, p, req, src, d)
		return
	}
	mac := req.ClientHWAddr.String()
	if !s.startProbing(mac) {
		s.observe(messageName(req), Ignored)
		s.write(l, req, ignore("an address is being probed for it, or for very many others").note)
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
				s.observe(messageName(req), Failed)
				s.write(l, req, note{level: slog.LevelWarn, text: "address not probed", once: "probe " + l.h.iface.Name, attrs: []any{"err", err.Error()}})
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

// claimAddress gives a DHCPINFORM without the client's address the one it came from, as some clients need it.
func claimAddress(req *dhcpv4.DHCPv4, src source) {
	if req.MessageType() == dhcpv4.MessageTypeInform && !addrOf(req.ClientIPAddr).IsValid() && !addrOf(req.GatewayIPAddr).IsValid() &&
		src.addr.Addr().Is4() && !src.addr.Addr().IsUnspecified() {
		req.ClientIPAddr = src.addr.Addr().AsSlice()
	}
}

// reply sends what was decided and logs it: once the changes are on the disk, if there are any.
func (s *Server) reply(l *link, p endpoint, req *dhcpv4.DHCPv4, src source, d decision) {
	if len(d.changes) == 0 {
		s.send(l, p, req, src, d)
		return
	}
	// An error is logged by the journal, and costs nobody the boot.
	if !s.journal.write(d.changes, func(error) { s.send(l, p, req, src, d) }) {
		s.observe(messageName(req), Failed)
		s.write(l, req, note{level: slog.LevelError, text: "DHCP request not answered: the disk of the leases does not keep up", once: "queue"})
	}
}

// send sends the reply, if there is one, and logs the note.
func (s *Server) send(l *link, p endpoint, req *dhcpv4.DHCPv4, src source, d decision) {
	outcome := outcomeOf(d)
	if d.reply != nil {
		wire, dropped := encode(d.reply, req)
		if dropped != nil {
			s.write(l, req, note{level: slog.LevelWarn, text: "the reply is too long for the machine; options were left out", attrs: []any{"options", dropped},
				once: "long " + req.ClientHWAddr.String()})
		}
		if err := p.send(wire, deliver(req, d.reply, src.addr, p.number()), src); err != nil {
			d.note.level, d.note.attrs = slog.LevelError, append(d.note.attrs, "err", err.Error())
			outcome = Failed
		}
	}
	s.observe(messageName(req), outcome)
	s.write(l, req, d.note)
}

// explain says why a machine gets nowhere, at most once in explainEvery. Where nobody gave it an address it looks whether there
// is anybody who could.
func (s *Server) explain(ctx context.Context, wg *sync.WaitGroup, l *link, req *dhcpv4.DHCPv4, a *attempt) {
	mac := req.ClientHWAddr.String()
	if !s.limit.Allow("stuck "+mac, time.Now(), explainEvery) {
		return
	}
	wg.Go(func() {
		var servers []netip.Addr
		if l.h.pool == nil && !a.server.IsValid() && !a.relayed {
			var err error
			if servers, err = l.finder.find(ctx, NeighbourWait); ctx.Err() != nil {
				return
			} else if err != nil {
				s.write(l, req, note{level: slog.LevelDebug, text: "can't look for DHCP servers", attrs: []any{"err", err.Error()}})
			}
		}
		s.write(l, req, note{level: slog.LevelWarn, text: "a machine asks for a boot file again and again and gets no further",
			attrs: []any{"times", a.discovers, "arch", client{arch: a.arch}.archName(), "why", l.h.explain(a, servers)}})
	})
}

// explainEvery is the time between two explanations for one machine.
const explainEvery = 5 * time.Minute

// warnOfServers says which other DHCP servers there are in a network for which there is a range.
func (s *Server) warnOfServers(ctx context.Context, l *link) {
	servers, err := l.finder.find(ctx, NeighbourWait)
	if err != nil && ctx.Err() == nil {
		s.write(l, nil, note{level: slog.LevelDebug, text: "can't look for DHCP servers", attrs: []any{"err", err.Error()}})
	}
	if len(servers) > 0 {
		s.write(l, nil, note{level: slog.LevelError, text: "there is another DHCP server in this network: machines get an address from either, and boot only if it is from here; " +
			"stop that one, or set dhcp: mode: proxy in boottorrent.yaml", attrs: []any{"servers", addresses(servers)}})
	}
}

// write logs a note about a request; req may be nil.
func (s *Server) write(l *link, req *dhcpv4.DHCPv4, n note) {
	if n.text == "" || n.once != "" && !s.limit.Allow(n.once, time.Now(), n.every) {
		return
	}
	attrs := []any{"interface", l.h.iface.Name}
	if req != nil {
		attrs = append(attrs, "mac", req.ClientHWAddr.String())
	}
	s.log.Log(context.Background(), n.level, n.text, append(attrs, n.attrs...)...)
}

// maxProbing bounds the probes at one time, against made-up hardware addresses.
const maxProbing = 2048

// startProbing reports whether no address is being probed for that client yet, and notes that one is.
func (s *Server) startProbing(mac string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probing[mac] || len(s.probing) >= maxProbing {
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

package dhcp

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// addressReply answers as the network's DHCP server (RFC 2131, section 4.3).
func (h *handler) addressReply(req *dhcpv4.DHCPv4) decision {
	if relay := addrOf(req.GatewayIPAddr); relay.IsValid() && !h.iface.Addr.Contains(relay) {
		d := ignore("it was relayed from the network of %s, for which there is no range", relay)
		d.note.level, d.note.once = slog.LevelWarn, "relay "+relay.String()
		return d
	}
	switch t := req.MessageType(); t {
	case dhcpv4.MessageTypeDiscover:
		return h.discover(req)
	case dhcpv4.MessageTypeRequest:
		return h.request(req)
	case dhcpv4.MessageTypeDecline:
		return h.decline(req)
	case dhcpv4.MessageTypeRelease:
		return h.release(req)
	case dhcpv4.MessageTypeInform:
		return h.inform(req)
	default:
		return ignore("%s is no message for a server", t)
	}
}

// discover offers an address (section 4.3.1), or has it probed first.
func (h *handler) discover(req *dhcpv4.DHCPv4) decision {
	addr, fresh, err := h.pool.choose(req.ClientHWAddr, addrOf(req.RequestedIPAddress()))
	if err != nil {
		return decision{note: note{level: slog.LevelError, text: "no address to offer", attrs: []any{"why", err.Error()}, once: "exhausted"}}
	}
	if fresh {
		return decision{probe: addr, note: note{level: slog.LevelDebug, text: "probing address", attrs: []any{"addr", addr}}}
	}
	reply := h.newReply(req, dhcpv4.MessageTypeOffer)
	h.putAddress(reply, req, addr)
	n := note{level: slog.LevelDebug, text: "address offered", attrs: []any{"addr", addr}}
	// What was offered to boot is logged with the DHCPACK; what was not must be said now, for the ROM may ask no further.
	if boot, err := h.putBoot(reply, req); err != nil {
		n = boot
	}
	return decision{reply: reply, note: n}
}

// probed goes on after the address that a DHCPDISCOVER is to be answered with was probed. user is who has it; nil: nobody.
func (h *handler) probed(req *dhcpv4.DHCPv4, addr netip.Addr, user net.HardwareAddr) decision {
	// A client that has kept its address from an earlier boot stage answers the probe itself.
	if user == nil || bytes.Equal(user, req.ClientHWAddr) {
		h.pool.probed(req.ClientHWAddr, addr)
		return h.discover(req)
	}
	changes := h.pool.quarantine(addr)
	d := h.discover(req)
	d.changes = append(changes, d.changes...)
	return d
}

// request binds, extends or refuses an address (section 4.3.2).
func (h *handler) request(req *dhcpv4.DHCPv4) decision {
	server, wanted, has := addrOf(req.ServerIdentifier()), addrOf(req.RequestedIPAddress()), addrOf(req.ClientIPAddr)
	switch {
	case server.IsValid() && server != h.addr():
		h.pool.abandon(req.ClientHWAddr)
		return decision{note: note{level: slog.LevelWarn, text: "a machine took its address from another DHCP server in this network, and may not boot from here; " +
			"stop that server, or set dhcp: mode: proxy in boottorrent.yaml", attrs: []any{"server", server}, once: "server " + server.String(), every: time.Hour}}
	case server.IsValid(): // SELECTING
		return h.bind(req, wanted, true)
	case wanted.IsValid(): // INIT-REBOOT
		return h.bind(req, wanted, false)
	case has.IsValid(): // RENEWING, REBINDING
		return h.bind(req, has, false)
	}
	return ignore("it requests no address")
}

// bind answers a DHCPREQUEST for addr. selecting says that it follows our offer; otherwise a client we don't know gets no
// answer, for another server may know it.
func (h *handler) bind(req *dhcpv4.DHCPv4, addr netip.Addr, selecting bool) decision {
	lease, write, err := h.pool.bind(req.ClientHWAddr, addr)
	switch {
	case errors.Is(err, errUnknown) && !selecting && h.iface.Addr.Contains(addr):
		return ignore("%v", err)
	case err != nil:
		return h.nak(req, err)
	}
	reply := h.newReply(req, dhcpv4.MessageTypeAck)
	reply.ClientIPAddr = req.ClientIPAddr
	h.putAddress(reply, req, lease.Addr)
	n := note{level: slog.LevelInfo, text: "lease given", attrs: []any{"addr", lease.Addr, "until", lease.Expires.Format(time.RFC3339)}}
	if boot, _ := h.putBoot(reply, req); boot.text != "" {
		boot.attrs = append(boot.attrs, "addr", lease.Addr)
		n = boot
	}
	return decision{reply: reply, note: n, changes: []change{write}}
}

// nak refuses an address, so that the client starts again with a DHCPDISCOVER.
func (h *handler) nak(req *dhcpv4.DHCPv4, why error) decision {
	reply := h.newReply(req, dhcpv4.MessageTypeNak)
	reply.UpdateOption(dhcpv4.OptMessage(why.Error()))
	if addrOf(req.GatewayIPAddr).IsValid() {
		// The client may have no usable address; the relay must broadcast (section 4.3.2).
		reply.SetBroadcast()
	}
	return decision{reply: reply, note: note{level: slog.LevelInfo, text: "address refused", attrs: []any{"why", why.Error()}}}
}

// decline takes an address out of use which the client found to be another machine's (section 4.3.3).
func (h *handler) decline(req *dhcpv4.DHCPv4) decision {
	addr := addrOf(req.RequestedIPAddress())
	if server := addrOf(req.ServerIdentifier()); server.IsValid() && server != h.addr() {
		return ignore("it declines an address of %s", server)
	}
	if !h.pool.holds(req.ClientHWAddr, addr) {
		return ignore("it declines %s, which it was not given", addr)
	}
	n := note{level: slog.LevelWarn, text: "address declined: another machine uses it; it is left alone for a while",
		attrs: []any{"addr", addr, "for", quarantineTime}}
	return decision{note: n, changes: h.pool.quarantine(addr)}
}

// release ends a lease (section 4.3.4). The machine gets the same address when it comes back, if it is still free.
func (h *handler) release(req *dhcpv4.DHCPv4) decision {
	addr := addrOf(req.ClientIPAddr)
	if !h.pool.holds(req.ClientHWAddr, addr) {
		return ignore("it releases %s, which it does not have", addr)
	}
	n := note{level: slog.LevelInfo, text: "lease released", attrs: []any{"addr", addr}}
	return decision{note: n, changes: h.pool.release(req.ClientHWAddr)}
}

// inform tells a machine that has an address everything else (section 4.3.5): no address and no lease time.
func (h *handler) inform(req *dhcpv4.DHCPv4) decision {
	if !addrOf(req.ClientIPAddr).IsValid() {
		return ignore("DHCPINFORM without the client's address")
	}
	reply := h.newReply(req, dhcpv4.MessageTypeAck)
	reply.ClientIPAddr = req.ClientIPAddr
	h.putNetwork(reply, req)
	n := note{level: slog.LevelDebug, text: "information given"}
	if boot, _ := h.putBoot(reply, req); boot.text != "" {
		n = boot
	}
	return decision{reply: reply, note: n}
}

// shortLease is the lease below which T1 and T2 are not told: in whole seconds they would be zero or the same, and clients take
// a zero T1 for "renew now, and again".
const shortLease = 8 * time.Second

// putAddress writes address and lease to a reply. T1 and T2 are RFC 2131's (section 4.4.5): 1/2 and 7/8 of the lease.
func (h *handler) putAddress(reply, req *dhcpv4.DHCPv4, addr netip.Addr) {
	lease := h.pool.cfg.Lease
	reply.YourIPAddr = addr.AsSlice()
	reply.UpdateOption(dhcpv4.OptIPAddressLeaseTime(lease))
	if lease >= shortLease {
		reply.UpdateOption(dhcpv4.OptRenewTimeValue(lease / 2))
		reply.UpdateOption(dhcpv4.OptRebindingTimeValue(lease * 7 / 8))
	}
	h.putNetwork(reply, req)
}

// putNetwork writes what a machine needs to use the network: netmask and router always, for no client does without; the
// rest if asked for.
func (h *handler) putNetwork(reply, req *dhcpv4.DHCPv4) {
	cfg := h.pool.cfg
	reply.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(h.network().Bits(), 32)))
	if cfg.Router.IsValid() {
		reply.UpdateOption(dhcpv4.OptRouter(cfg.Router.AsSlice()))
	}
	if len(cfg.DNS) > 0 && req.IsOptionRequested(dhcpv4.OptionDomainNameServer) {
		var servers []net.IP
		for _, a := range cfg.DNS {
			servers = append(servers, a.AsSlice())
		}
		reply.UpdateOption(dhcpv4.OptDNS(servers...))
	}
	if req.IsOptionRequested(dhcpv4.OptionBroadcastAddress) {
		reply.UpdateOption(dhcpv4.OptBroadcastAddress(lastOf(h.network()).AsSlice()))
	}
	if name := h.pool.hostname(req.ClientHWAddr); name != "" && req.IsOptionRequested(dhcpv4.OptionHostName) {
		reply.UpdateOption(dhcpv4.OptHostName(name))
	}
}

// network is the one that machines are told they are in.
func (h *handler) network() netip.Prefix {
	if bits := h.pool.cfg.Netmask; bits > 0 {
		return netip.PrefixFrom(h.addr(), bits)
	}
	return h.iface.Addr
}

// putBoot writes to a reply what the client boots, if it is a boot client. The note says what was offered; with an error,
// why there is nothing to boot. Such a machine still gets its address.
func (h *handler) putBoot(reply, req *dhcpv4.DHCPv4) (note, error) {
	c := identify(req)
	if c.kind == plain {
		return note{}, nil
	}
	c.told = h.attempts.told(req, time.Now())
	o, err := h.boot.offer(c, h.addr(), true)
	if err != nil {
		return refuse(req, c, err).note, err
	}
	// The only server's offer may say it to UEFI too; compare bootsDirectly.
	o.direct = c.kind == pxe || c.kind == ipxe
	o.put(reply, req, c, h.addr())
	return answered(c, o.file, c.remarks()...), nil
}

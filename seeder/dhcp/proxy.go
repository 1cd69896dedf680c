package dhcp

import (
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// proxyReply answers a boot request beside another DHCP server (proxyDHCP: PXE 2.1, chapter 2). The reply has neither
// an address nor a lease time.
func (h *handler) proxyReply(req *dhcpv4.DHCPv4, port int) decision {
	c := identify(req)
	if c.kind == plain {
		return ignore("%s without a boot client's vendor class", req.MessageType())
	}
	t := proxyReplyType(req.MessageType(), port, c.kind)
	if t == dhcpv4.MessageTypeNone {
		return ignore("%s of a %s client on port %d is for the other DHCP server", req.MessageType(), c.kind, port)
	}
	c.told = h.attempts.told(req, time.Now())
	o, err := h.boot.offer(c, h.addr(), h.named(req.ClientHWAddr))
	if err != nil {
		return refuse(req, c, err)
	}
	reply := h.newReply(req, t)
	if t == dhcpv4.MessageTypeAck {
		reply.ClientIPAddr = req.ClientIPAddr
	}
	o.direct = bootsDirectly(c, port)
	if port == pxePort {
		o.item = bootItem(req)
	}
	o.put(reply, req, c, h.addr())
	if c.kind == ipxe {
		reply.UpdateOption(dhcpv4.OptGeneric(ipxeOption, ipxePriority))
	}
	return decision{reply: reply, note: answered(c, o.file, append(c.remarks(), "message", t.String())...)}
}

// ipxeOption has iPXE's own options in it. Of those ipxePriority says that what a reply brings goes before what another brings, which has
// priority 0 (src/include/ipxe/dhcp.h, DHCP_EB_PRIORITY; src/core/settings.c). Without it the boot file of the other DHCP server
// counts, if it names one: and where that is meant to start iPXE, iPXE would start iPXE for ever.
const ipxeOption = dhcpv4.GenericOptionCode(175)

var ipxePriority = []byte{1, 1, 1}

// proxyReplyType is the type of the reply to a message of type t, or MessageTypeNone if it isn't for a proxy: a DHCPREQUEST
// on port 67 accepts the other server's offer.
func proxyReplyType(t dhcpv4.MessageType, port int, k kind) dhcpv4.MessageType {
	switch {
	case port == serverPort && t == dhcpv4.MessageTypeDiscover:
		return dhcpv4.MessageTypeOffer
	case port == serverPort && t == dhcpv4.MessageTypeInform && k == phase1:
		return dhcpv4.MessageTypeAck
	case port == pxePort && (t == dhcpv4.MessageTypeRequest || t == dhcpv4.MessageTypeInform):
		return dhcpv4.MessageTypeAck
	}
	return dhcpv4.MessageTypeNone
}

// bootsDirectly reports whether a proxy's offer may tell the client to load the file at once.
//
// BIOS ROMs need it: without, they look for a boot server first. UEFI's offers go without, its answers on port 4011 with:
// EDK2 (OVMF) takes an offer that has no option 43 for what it calls BINL, asks port 4011, and loads what the answer names;
// the authors of pixiecore found firmware that ignores a proxy's offer with option 43, but none that does not ask.
// iPXE loads a file that is named, either way.
func bootsDirectly(c client, port int) bool {
	switch c.kind {
	case ipxe:
		return true
	case pxe:
		return isBIOS(c.arch) || port == pxePort
	}
	return false
}

package dhcp

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// delivery is where a reply goes.
type delivery struct {
	to netip.AddrPort
	// mac, if not nil, is where the frame must go: the client has no address yet and can't answer ARP for it.
	mac net.HardwareAddr
}

var broadcast = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), clientPort)

// deliver says where a reply goes (RFC 2131, section 4.1). from is the source of the request, port where it arrived.
func deliver(req, reply *dhcpv4.DHCPv4, from netip.AddrPort, port int) delivery {
	relay, has, gets := addrOf(req.GatewayIPAddr), addrOf(req.ClientIPAddr), addrOf(reply.YourIPAddr)
	if has != from.Addr() {
		// Firmware sends DISCOVERs with the address of an earlier boot, and selecting REQUESTs with the one it has not taken yet;
		// it would not answer ARP for either.
		has = netip.Addr{}
	}
	switch {
	case relay.IsValid():
		return delivery{to: netip.AddrPortFrom(relay, serverPort)}
	case port == pxePort && from.Addr().Is4() && !from.Addr().IsUnspecified():
		// To where it came from: EDK2 asks from port 4011, PXE 2.1 also permits 68.
		return delivery{to: from}
	case reply.MessageType() == dhcpv4.MessageTypeNak:
		return delivery{to: broadcast}
	case has.IsValid():
		return delivery{to: netip.AddrPortFrom(has, clientPort)}
	case req.IsBroadcast() || !gets.IsValid():
		// A proxy's offer has no address to send it to.
		return delivery{to: broadcast}
	}
	return delivery{to: netip.AddrPortFrom(gets, clientPort), mac: req.ClientHWAddr}
}

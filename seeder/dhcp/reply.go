package dhcp

import (
	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// minMessage is what every client takes, with IP and UDP headers (RFC 2131, section 2), and maxMessage what fits one frame.
	minMessage = 576
	maxMessage = 1500
	// ipUDPLen is the length of those headers.
	ipUDPLen = 28
)

// expendable are options that a reply does without if it gets too long, the least important first. Overloading (option 52)
// would make room, and be misread by old ROMs.
var expendable = []dhcpv4.OptionCode{
	dhcpv4.OptionHostName, dhcpv4.OptionBroadcastAddress, dhcpv4.OptionTFTPServerName, dhcpv4.OptionDomainNameServer, dhcpv4.OptionClientIdentifier,
}

// encode writes a reply as long as the client takes it: 576 bytes, or more if it says so in option 57. Less than that, which
// some firmware says, is not permitted (RFC 2132, section 9.10) and not meant. dropped are the options left out.
func encode(reply, req *dhcpv4.DHCPv4) (wire []byte, dropped []dhcpv4.OptionCode) {
	limit := minMessage
	if size, err := req.MaxMessageSize(); err == nil {
		limit = min(max(limit, int(size)), maxMessage)
	}
	wire = reply.ToBytes()
	for _, code := range expendable {
		if len(wire) <= limit-ipUDPLen {
			break
		}
		if reply.Options.Has(code) {
			reply.DeleteOption(code)
			dropped = append(dropped, code)
			wire = reply.ToBytes()
		}
	}
	return wire, dropped
}

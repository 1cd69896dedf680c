package network

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/boottorrent/boottorrent/internal/seederurl"
)

// maxMessage is the largest message that fits into an Ethernet frame.
const maxMessage = 1500

// identity is what a node says of itself in every message.
type identity struct {
	mac net.HardwareAddr
	// uuid is SMBIOS's, in its text form; empty if unknown.
	uuid string
	// hostname is the one to ask for; empty for none.
	hostname string
}

// options are added to each message.
func (id identity) options() []dhcpv4.Modifier {
	mods := []dhcpv4.Modifier{
		dhcpv4.WithHwAddr(id.mac),
		// The boot ROM before us got a lease; with the same client identifier the server gives the same address again.
		// iPXE sends the hardware type and address, as RFC 2132, 9.14 suggests; a ROM that sends none is known by its
		// hardware address, which servers also find in this.
		dhcpv4.WithOption(dhcpv4.OptClientIdentifier(append([]byte{byte(iana.HWTypeEthernet)}, id.mac...))),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(seederurl.VendorClass + ":" + runtime.GOARCH)),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(maxMessage)),
		dhcpv4.WithOption(dhcpv4.OptParameterRequestList(
			dhcpv4.OptionSubnetMask, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer,
			dhcpv4.OptionHostName, dhcpv4.OptionDomainName, dhcpv4.OptionInterfaceMTU,
			dhcpv4.OptionVendorSpecificInformation, dhcpv4.OptionIPAddressLeaseTime, dhcpv4.OptionServerIdentifier,
			dhcpv4.OptionRenewTimeValue, dhcpv4.OptionRebindingTimeValue,
			dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName)),
	}
	if raw, ok := rawUUID(id.uuid); ok {
		mods = append(mods, dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, append([]byte{0}, raw...))))
	}
	if id.hostname != "" {
		mods = append(mods, dhcpv4.WithOption(dhcpv4.OptHostName(id.hostname)))
	}
	return mods
}

// rawUUID turns a UUID's text into the bytes SMBIOS has it in, and firmware sends in option 97 (RFC 4578, 2.3): the
// first three fields are little-endian (SMBIOS 3.7, 7.2.1).
func rawUUID(text string) ([]byte, bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 {
		return nil, false
	}
	return append([]byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]}, b[8:]...), true
}

// message makes a client's message. dhcpv4.New would draw the transaction's number from getrandom(GRND_NONBLOCK) in a
// busy loop of up to two minutes: after a boot without a hardware random generator nothing makes the kernel's ready
// that way. The number only has to differ from the neighbours' (RFC 2131, 4.1).
func (id identity) message(kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	p := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		Options: dhcpv4.Options{},
	}
	binary.BigEndian.PutUint32(p.TransactionID[:], rand.Uint32())
	for _, apply := range append(id.options(), mods...) {
		apply(p)
	}
	p.UpdateOption(dhcpv4.OptMessageType(kind))
	return p
}

func (id identity) discover() *dhcpv4.DHCPv4 { return id.message(dhcpv4.MessageTypeDiscover) }

// request accepts an offer (RFC 2131, 4.3.2, SELECTING).
func (id identity) request(offer *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	return id.message(dhcpv4.MessageTypeRequest,
		dhcpv4.WithTransactionID(offer.TransactionID),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)),
		dhcpv4.WithOptionCopied(offer, dhcpv4.OptionServerIdentifier))
}

// renew asks for more time for an address in use (RENEWING and REBINDING): without server and requested address.
func (id identity) renew(addr netip.Addr) *dhcpv4.DHCPv4 {
	return id.message(dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(addr.AsSlice()))
}

// offers is what came back for one DISCOVER.
type offers struct {
	// address is the first offer with an address, boot the first from a proxyDHCP: no address, but where to boot from
	// (PXE 2.1, 2.2.3; our seeder's proxy answers phase 1 in the same way).
	address, boot *dhcpv4.DHCPv4
}

// add takes an answer into account and says whether it was one.
func (o *offers) add(p *dhcpv4.DHCPv4) bool {
	if p.MessageType() != dhcpv4.MessageTypeOffer {
		return false
	}
	switch {
	case toAddr(p.YourIPAddr).IsValid():
		if o.address != nil || !toAddr(p.ServerIdentifier()).IsValid() {
			return false
		}
		o.address = p
	case o.boot == nil && (bootFile(p) != "" || toAddr(p.ServerIPAddr).IsValid()):
		o.boot = p
	default:
		return false
	}
	return true
}

// complete says whether waiting for more offers can bring nothing: both are there, or the address came from a seeder,
// which knows where it is.
func (o *offers) complete() bool {
	return o.address != nil && (o.boot != nil || strings.HasPrefix(bootFile(o.address), "http"))
}

// bootFile is option 67 or BOOTP's file field.
func bootFile(p *dhcpv4.DHCPv4) string {
	if f := p.BootFileNameOption(); f != "" {
		return strings.TrimRight(f, "\x00")
	}
	return p.BootFileName
}

// toAddr converts an IPv4 address; nil and 0.0.0.0 become the zero Addr.
func toAddr(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

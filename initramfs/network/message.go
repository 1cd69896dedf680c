package network

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/boottorrent/boottorrent/internal/seederurl"
)

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

// Bounds of what is believed of a server.
const (
	// forever is the lease time that never ends (RFC 2131, 3.3).
	forever = time.Duration(1<<32-1) * time.Second
	// RFC 791: every host must take 576 bytes; RFC 2132, 5.1 lets the option be as small as 68.
	minMTU = 576
	// maxMessage is the largest message that fits into an Ethernet frame.
	maxMessage = 1500
)

// newLease reads a lease from a server's ACK and the offers before it.
func newLease(ifname string, mac net.HardwareAddr, ack *dhcpv4.DHCPv4, o offers) (Lease, error) {
	addr := toAddr(ack.YourIPAddr)
	if !addr.IsValid() || addr.IsMulticast() || addr.IsLoopback() {
		return Lease{}, fmt.Errorf("the server %v acknowledged the address %v, which is none", ack.ServerIdentifier(), ack.YourIPAddr)
	}
	mask := ack.SubnetMask()
	if mask == nil {
		mask = net.IP(addr.AsSlice()).DefaultMask()
	}
	ones, bits := mask.Size()
	if bits != 32 || ones == 0 {
		return Lease{}, fmt.Errorf("the server %v gave the netmask %v, which is none", ack.ServerIdentifier(), mask)
	}
	l := Lease{
		Interface: ifname, MAC: mac,
		Addr:     netip.PrefixFrom(addr, ones),
		Hostname: hostname(ack.HostName()), Domain: hostname(ack.DomainName()),
		Server:   toAddr(ack.ServerIdentifier()),
		Duration: ack.IPAddressLeaseTime(forever),
	}
	if l.Duration <= 0 {
		return Lease{}, errors.New("the server gave a lease of no time")
	}
	// The defaults are those of RFC 2131, 4.4.5.
	l.Renew = min(ack.IPAddressRenewalTime(l.Duration/2), l.Duration)
	l.Rebind = min(max(ack.IPAddressRebindingTime(l.Duration/8*7), l.Renew), l.Duration)
	if mtu := ack.GetOneOption(dhcpv4.OptionInterfaceMTU); len(mtu) == 2 {
		if n := int(mtu[0])<<8 | int(mtu[1]); n >= minMTU {
			l.MTU = n
		}
	}
	for _, ip := range ack.DNS() {
		if a := toAddr(ip); a.IsValid() {
			l.DNS = append(l.DNS, a)
		}
	}
	l.routes(ack)
	l.boot(ack, o)
	return l, nil
}

// routes takes the classless static routes, or, only where there are none, the router (RFC 3442).
func (l *Lease) routes(ack *dhcpv4.DHCPv4) {
	classless := ack.ClasslessStaticRoute()
	for _, r := range classless {
		ones, bits := r.Dest.Mask.Size()
		dest, ok := netip.AddrFromSlice(r.Dest.IP.To4())
		if bits != 32 || !ok {
			continue
		}
		if via := toAddr(r.Router); ones == 0 {
			l.Gateway = via
		} else {
			l.Routes = append(l.Routes, Route{netip.PrefixFrom(dest, ones), via})
		}
	}
	if len(classless) > 0 {
		return
	}
	for _, ip := range ack.Router() {
		if l.Gateway = toAddr(ip); l.Gateway.IsValid() {
			return
		}
	}
}

// boot finds out where to boot from. A proxy's word counts most: DHCP servers like to name themselves whether or not
// they know anything about booting.
func (l *Lease) boot(ack *dhcpv4.DHCPv4, o offers) {
	for _, p := range []*dhcpv4.DHCPv4{o.boot, ack, o.address} {
		if p == nil {
			continue
		}
		next, file := toAddr(p.ServerIPAddr), bootFile(p)
		if p == o.boot && !next.IsValid() {
			next = toAddr(p.ServerIdentifier())
		}
		if !l.NextServer.IsValid() && l.BootFile == "" {
			l.NextServer, l.BootFile = next, file
		}
	}
}

// hostname leaves out what is no name: it goes into a file and to the kernel.
func hostname(s string) string {
	s = strings.TrimRight(s, ".\x00")
	if len(s) > 253 || strings.ContainsFunc(s, func(r rune) bool {
		return !(r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) {
		return ""
	}
	return s
}

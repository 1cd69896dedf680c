package network

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Bounds of what is believed of a server.
const (
	// forever is the lease time that never ends (RFC 2131, 3.3).
	forever = time.Duration(1<<32-1) * time.Second
	// soonest is how soon a lease is renewed at most (RFC 2131, 4.4.5: "down to a minimum of 60 seconds"), whatever the
	// server says; shortest is the lease in which that comes out. A server whose leases are shorter keeps an address for its
	// owner as long as it has others (RFC 2131, 4.3.1).
	soonest, shortest = time.Minute, 2 * time.Minute
	// noTime is the lease taken for one of no time at all.
	noTime = time.Hour
	// RFC 791: every host must take 576 bytes; RFC 2132, 5.1 lets the option be as small as 68.
	minMTU = 576
)

// newLease reads a lease from a server's ACK and the offers before it. What the ACK lacks the offer has.
func newLease(ifname string, mac net.HardwareAddr, ack *dhcpv4.DHCPv4, o offers) (Lease, error) {
	said := facts{ack.Options}
	if o.address != nil {
		said.Options = maps.Clone(o.address.Options)
		maps.Copy(said.Options, ack.Options)
	}
	addr := toAddr(ack.YourIPAddr)
	if !addr.IsValid() || addr.IsLoopback() || addr.As4()[0] >= 224 { // multicast, and what RFC 1112 keeps for later
		return Lease{}, fmt.Errorf("the server %v acknowledged the address %v, which is none", said.server(), ack.YourIPAddr)
	}
	ones, ok := said.mask()
	if !ok {
		return Lease{}, fmt.Errorf("the server %v gave the netmask %v, which is none", said.server(), ack.SubnetMask())
	}
	if ones == 0 {
		ones, _ = net.IP(addr.AsSlice()).DefaultMask().Size()
	}
	l := Lease{
		Interface: ifname, MAC: mac,
		Addr:     netip.PrefixFrom(addr, ones),
		Hostname: hostname(said.text(dhcpv4.OptionHostName)), Domain: hostname(firstWord(said.text(dhcpv4.OptionDomainName))),
		Server: said.server(), DNS: said.addrs(dhcpv4.OptionDomainNameServer),
	}
	l.times(said)
	l.mtu(said)
	l.routes(said)
	l.boot(ack, o)
	return l, nil
}

// renewed reads what a server's ACK to a renewal makes of a lease. Some servers repeat only the times, some leave out the
// address, which the node told them itself: what isn't said stays as it was.
func (l Lease) renewed(ack *dhcpv4.DHCPv4) (Lease, error) {
	known := *ack
	if !toAddr(ack.YourIPAddr).IsValid() {
		known.YourIPAddr = l.Addr.Addr().AsSlice()
	}
	next, err := newLease(l.Interface, l.MAC, &known, offers{})
	if err != nil {
		return Lease{}, err
	}
	if !next.Server.IsValid() {
		next.Server = l.Server
	}
	// A renewal says nothing about booting, which a proxyDHCP may have said at the beginning.
	next.NextServer, next.BootFile = l.NextServer, l.BootFile
	next.fixedMTU = l.fixedMTU
	if l.Named {
		next = next.WithName(l.Hostname)
	}
	if next.Addr.Addr() != l.Addr.Addr() {
		return next, nil
	}
	said := facts{ack.Options}
	if ones, _ := said.mask(); ones == 0 {
		next.Addr = l.Addr
	}
	if !next.Gateway.IsValid() && len(next.Routes) == 0 {
		next.Gateway, next.Routes = l.Gateway, l.Routes
	}
	if len(next.DNS) == 0 {
		next.DNS = l.DNS
	}
	if next.MTU == 0 {
		next.MTU = l.MTU
	}
	if next.Hostname == "" {
		next.Hostname = l.Hostname
	}
	if next.Domain == "" {
		next.Domain = l.Domain
	}
	return next, nil
}

// times reads the lease time and when to ask for more. Values that can't be followed count as not given: a lease of no time,
// a renewal at once, after the rebinding, or after the end.
func (l *Lease) times(said facts) {
	switch d, given := said.seconds(dhcpv4.OptionIPAddressLeaseTime); {
	case !given:
		l.Duration = forever
	case d == 0:
		l.Duration = noTime
		l.note("the server gives a lease of no time; it is taken for one of %s", leaseTime(noTime))
	case d < shortest:
		l.Duration = shortest
		l.note("the server gives a lease of %s; it is renewed each %s", leaseTime(d), leaseTime(soonest))
	default:
		l.Duration = d
	}
	// The defaults are those of RFC 2131, 4.4.5.
	rebind, given := said.seconds(dhcpv4.OptionRebindingTimeValue)
	if !given || rebind <= soonest || rebind >= l.Duration {
		rebind = l.Duration / 8 * 7
	}
	renew, given := said.seconds(dhcpv4.OptionRenewTimeValue)
	if !given || renew < soonest || renew >= rebind {
		renew, rebind = l.Duration/2, max(rebind, l.Duration/8*7)
	}
	l.Renew, l.Rebind = renew, rebind
}

// mtu reads the MTU, which configure may find to be more than the card takes.
func (l *Lease) mtu(said facts) {
	b := said.Get(dhcpv4.OptionInterfaceMTU)
	if len(b) == 0 {
		return
	}
	if len(b) != 2 {
		l.note("the MTU that DHCP wants is ignored: it has %d bytes instead of 2", len(b))
		return
	}
	wanted := int(binary.BigEndian.Uint16(b))
	if wanted < minMTU {
		l.note("the MTU %d that DHCP wants is ignored: every machine must take %d bytes (RFC 791)", wanted, minMTU)
		return
	}
	l.MTU = wanted
}

// routes takes the classless static routes, or, only where there are none, the router (RFC 3442).
func (l *Lease) routes(said facts) {
	classless, whole := readRoutes(said.Get(dhcpv4.OptionClasslessStaticRoute))
	if !whole {
		l.note("the classless static routes (option 121) are damaged; %d of them can be read", len(classless))
	}
	for _, r := range classless {
		if r.Dest.Bits() == 0 {
			l.Gateway = r.Via
		} else {
			l.Routes = append(l.Routes, r)
		}
	}
	if len(classless) > 0 {
		return
	}
	if routers := said.addrs(dhcpv4.OptionRouter); len(routers) > 0 {
		l.Gateway = routers[0]
	}
}

// readRoutes reads option 121: the prefix length, as many bytes of the network as it needs, the router. whole is false where a
// route is cut off or has a length that there isn't.
func readRoutes(b []byte) (routes []Route, whole bool) {
	for len(b) > 0 {
		ones := int(b[0])
		n := (ones + 7) / 8
		if ones > 32 || len(b) < 1+n+4 {
			return routes, false
		}
		var dest, via [4]byte
		copy(dest[:], b[1:1+n])
		copy(via[:], b[1+n:])
		// Servers leave bits behind the prefix, which the kernel refuses.
		routes = append(routes, Route{netip.PrefixFrom(netip.AddrFrom4(dest), ones).Masked(), toAddr(via[:])})
		b = b[1+n+4:]
	}
	return routes, true
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

func (l *Lease) note(format string, args ...any) {
	l.notes = append(l.notes, fmt.Sprintf(format, args...))
}

// facts are a server's options. One that is empty, or has a length that its kind can't have, counts as not given.
type facts struct{ dhcpv4.Options }

// mask is the netmask's number of ones; 0 if none is given, which is also how 0.0.0.0 is taken. One with holes is not ok.
func (f facts) mask() (ones int, ok bool) {
	b := f.Get(dhcpv4.OptionSubnetMask)
	if len(b) != 4 || binary.BigEndian.Uint32(b) == 0 {
		return 0, true
	}
	ones, bits := net.IPMask(b).Size()
	return ones, bits == 32
}

// seconds is a time; RFC 2132 gives it 32 bits.
func (f facts) seconds(code dhcpv4.OptionCode) (d time.Duration, given bool) {
	b := f.Get(code)
	if len(b) != 4 {
		return 0, false
	}
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second, true
}

// addrs is a list of addresses: the usable ones, each once, even where the list is cut off.
func (f facts) addrs(code dhcpv4.OptionCode) (list []netip.Addr) {
	for b := f.Get(code); len(b) >= 4; b = b[4:] {
		a := toAddr(b[:4])
		if a.IsValid() && !a.IsMulticast() && a != broadcastAddr && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

var broadcastAddr = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// server is who sent the message; zero if it doesn't say so.
func (f facts) server() netip.Addr {
	if list := f.addrs(dhcpv4.OptionServerIdentifier); len(list) > 0 {
		return list[0]
	}
	return netip.Addr{}
}

func (f facts) text(code dhcpv4.OptionCode) string { return string(f.Get(code)) }

// firstWord is the domain where a server lists several, for searching, in the option that has room for one.
func firstWord(s string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return word
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

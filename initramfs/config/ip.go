package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const ipHelp = "write ip=dhcp, ip=ADDRESS/PREFIX, or ip=ADDRESS::GATEWAY:NETMASK:HOSTNAME:INTERFACE:none:DNS"

// ip reads the forms of ip= in the kernel's Documentation/admin-guide/nfs/nfsroot.rst and in dracut.cmdline(7):
//
//	AUTOCONF
//	ADDRESS/PREFIX
//	INTERFACE:AUTOCONF[:[MTU][:MAC]]
//	ADDRESS:SERVER:GATEWAY:NETMASK:HOSTNAME:INTERFACE:AUTOCONF[:DNS0[:DNS1[:NTP]]]
//	ADDRESS:SERVER:GATEWAY:NETMASK:HOSTNAME:INTERFACE:AUTOCONF[:[MTU][:MAC]]
//
// Every field may be empty, and those at the end may be missing. A netmask may be the number of its ones, an interface BOOTIF.
// A later ip= replaces an earlier one. Of a field that isn't understood there is a warning, and the others are used; without
// a usable address that is DHCP.
func (p *parser) ip(value string) {
	f := ipFields(value)
	r := ipReader{parser: p, whole: value}
	switch {
	case len(f) == 1 && !strings.ContainsAny(value, "./["):
		if !r.autoconf(value) {
			return
		}
		r.out.DHCP = true
	case len(f) > 1 && f[0] != "" && isAutoconf(f[1]) && !isAddress(f[0]):
		r.device, r.out.DHCP = f[0], true
		r.autoconf(f[1])
		r.tail(f[2:])
	default:
		if !r.long(f) {
			return
		}
	}
	n := &p.out.Network
	r.out.MAC, r.out.VLAN = n.MAC, n.VLAN
	*n, p.ipDevice = r.out, r.device
}

// ipFields cuts at the colons outside of brackets, which stand around IPv6 addresses.
func ipFields(value string) (fields []string) {
	depth, begin := 0, 0
	for i, c := range value {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ':' && depth <= 0:
			fields, begin = append(fields, value[begin:i]), i+1
		}
	}
	return append(fields, value[begin:])
}

// ipReader reads one ip=.
type ipReader struct {
	*parser
	whole  string
	out    Network
	device string
}

// warn says what of the parameter is ignored, and why.
func (r *ipReader) warn(format string, args ...any) {
	r.parser.warn("of ip=%s %s; %s", r.whole, fmt.Sprintf(format, args...), ipHelp)
}

// long reads the form with an address in front; false means that nothing of it can be used.
func (r *ipReader) long(f []string) bool {
	given := len(f)
	if given > 7+6 {
		r.warn("everything is ignored: it has %d fields", given)
		return false
	}
	f = append(f, make([]string, max(0, 7-given))...)
	r.out.Hostname, r.device = f[4], f[5]
	r.out.Server = r.addr("the server", f[1])
	r.out.Gateway = r.addr("the gateway", f[2])
	r.tail(f[7:])
	if f[0] != "" && f[0] != "0.0.0.0" {
		var err error
		if r.out.Static, err = staticPrefix(f[0], f[3]); err != nil {
			r.warn("the address is ignored: %v", err)
			r.out.Gateway = netip.Addr{} // it is of no use without
			return r.out.Hostname != "" || r.device != "" || len(r.out.DNS) > 0 || r.out.MTU > 0
		}
		return true
	}
	r.out.DHCP = true
	if given > 6 {
		r.autoconf(f[6])
	}
	return true
}

// tail reads what follows AUTOCONF: name servers and an NTP server, which nobody needs here, or dracut's MTU and MAC address,
// whose colons have cut it into six.
func (r *ipReader) tail(f []string) {
	if len(f) == 0 {
		return
	}
	mac := strings.Join(f[1:], ":")
	if _, err := net.ParseMAC(mac); err == nil {
		r.warn("the MAC address %s is ignored: the card keeps its own", mac)
		f = f[:1]
	}
	if mtu, err := strconv.Atoi(f[0]); err == nil {
		if mtu < minMTU || mtu > maxMTU {
			r.warn("the MTU %d is ignored: it must be from %d to %d", mtu, minMTU, maxMTU)
		} else {
			r.out.MTU = mtu
		}
		f = f[1:]
	}
	for _, s := range f[:min(2, len(f))] {
		if dns := r.addr("the name server", s); dns.IsValid() && !slices.Contains(r.out.DNS, dns) {
			r.out.DNS = append(r.out.DNS, dns)
		}
	}
	if len(f) > 3 {
		r.warn("what follows the NTP server is ignored: %s", strings.Join(f[3:], ":"))
	}
}

// Bounds of an MTU: RFC 791's least, and the most that IPv4 has a length for.
const minMTU, maxMTU = 576, 65535

// addr reads an IPv4 address; empty and 0.0.0.0 are none.
func (r *ipReader) addr(what, s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		r.warn("%s %q is ignored: it is no IPv4 address", what, s)
		return netip.Addr{}
	}
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// Ways to get an address, of the kernel and of dracut. Those that are dhcp's or leave the choice are understood; of the others
// DHCP takes the place.
var (
	dhcpWords  = []string{"", "dhcp", "on", "any", "both", "single-dhcp"}
	otherWords = []string{"none", "off", "bootp", "rarp", "dhcp6", "auto6", "either6", "link6", "link-local", "ibft"}
)

func isAutoconf(word string) bool {
	return slices.Contains(dhcpWords, word) || slices.Contains(otherWords, word)
}

// autoconf says whether the word asks for DHCP, and warns if not.
func (r *ipReader) autoconf(word string) bool {
	if slices.Contains(dhcpWords, word) {
		return true
	}
	r.warn("%q is ignored, DHCP is used: a node needs an IPv4 address, and of the ways to ask for one only dhcp is known", word)
	return false
}

func isAddress(s string) bool {
	address, _, _ := strings.Cut(s, "/")
	_, err := netip.ParseAddr(address)
	return err == nil || strings.HasPrefix(s, "[")
}

// staticPrefix joins ADDRESS or ADDRESS/PREFIX with a netmask, which may be the number of its ones. Without either the kernel
// takes the mask of the address's class, and so does this.
func staticPrefix(address, mask string) (netip.Prefix, error) {
	if strings.HasPrefix(address, "[") {
		return netip.Prefix{}, fmt.Errorf("only IPv4 is spoken here, and %s is not", address)
	}
	if strings.Contains(address, "/") {
		p, err := netip.ParsePrefix(address)
		if err != nil || !p.Addr().Is4() || p.Addr().IsUnspecified() || p.Bits() == 0 {
			return netip.Prefix{}, fmt.Errorf("%q is no IPv4 address with a prefix length", address)
		}
		return p, nil
	}
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is4() {
		return netip.Prefix{}, fmt.Errorf("%q is no IPv4 address", address)
	}
	if n, err := strconv.Atoi(mask); err == nil && n >= 1 && n <= 32 {
		return netip.PrefixFrom(a, n), nil
	}
	m := net.IP(a.AsSlice()).DefaultMask()
	if mask != "" {
		m = net.IPMask(net.ParseIP(mask).To4())
	}
	ones, bits := m.Size()
	if bits == 0 || ones == 0 {
		return netip.Prefix{}, fmt.Errorf("the netmask %q is none", mask)
	}
	return netip.PrefixFrom(a, ones), nil
}

package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/mediumconf"
)

// cmdlinePath is where the kernel shows the command line it was started with (proc(5)).
const cmdlinePath = "/proc/cmdline"

// ReadCmdline reads /proc/cmdline; see [ParseCmdline].
func ReadCmdline() (Cmdline, []string, error) {
	b, err := os.ReadFile(cmdlinePath)
	if err != nil {
		return Cmdline{}, nil, fmt.Errorf("read the kernel command line (is /proc mounted?): %w", err)
	}
	c, warnings := ParseCmdline(string(b))
	return c, warnings, nil
}

// ParseCmdline reads a kernel command line. What concerns phase 1 but was not understood is left out of the result
// and returned as warnings, each a sentence that says what to write instead. Of a parameter given twice the last
// counts, as in the kernel.
func ParseCmdline(s string) (Cmdline, []string) {
	p := parser{}
	for _, param := range split(s) {
		p.parameter(param)
	}
	p.settleInterface()
	return p.out, p.warnings
}

// param is one word of a command line: NAME or NAME=VALUE.
type param struct {
	name, value string
	hasValue    bool
}

// split cuts a command line into parameters as the kernel's next_arg (lib/cmdline.c) does: at white space outside
// double quotes; quotes around the whole word or around the value are taken off, others stay.
func split(s string) []param {
	var params []param
	for {
		s = strings.TrimLeft(s, " \t\r\n\v\f\x00")
		if s == "" {
			return params
		}
		var word string
		word, s = cutWord(s)
		quoted := strings.HasPrefix(word, `"`)
		if quoted {
			word = strings.TrimSuffix(word[1:], `"`)
		}
		name, value, hasValue := strings.Cut(word, "=")
		if strings.HasPrefix(value, `"`) && !quoted {
			value = strings.TrimSuffix(value[1:], `"`)
		}
		params = append(params, param{name, value, hasValue})
	}
}

// cutWord returns the text up to the first white space that is not between double quotes, and the rest.
func cutWord(s string) (word, rest string) {
	inQuotes := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			inQuotes = !inQuotes
		case !inQuotes && strings.IndexByte(" \t\r\n\v\f\x00", s[i]) >= 0:
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// parser collects what the parameters say.
type parser struct {
	out      Cmdline
	warnings []string
	// The interface can be named in three places; settleInterface decides.
	ipDevice, vlanDevice, btInterface string
}

func (p *parser) warn(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

func (p *parser) parameter(a param) {
	switch a.name {
	case "ip":
		p.ip(a.value)
	case "vlan", "bt.vlan":
		p.vlan(a.name, a.value)
	case "BOOTIF":
		p.bootif(a.value)
	case "console":
		p.out.Consoles = append(p.out.Consoles, a.value)
	case "bt.interface":
		p.btInterface = a.value
	case "bt.seeder":
		p.out.Seeder = a.value
	case "bt.system":
		p.out.System = a.value
	case "bt.timeout":
		p.timeout(a.value)
	case mediumconf.Argument:
		p.medium(a.value)
	case "bt.shell":
		p.flag(a, &p.out.Shell)
	case "bt.debug":
		p.flag(a, &p.out.Debug)
	default:
		if strings.HasPrefix(a.name, "bt.") {
			p.warn("%s is not known; there are bt.seeder=URL, bt.system=NAME, bt.timeout=SECONDS, bt.interface=NAME, "+
				"bt.vlan=ID, bt.shell and bt.debug; bt.medium= is mkimage's", a.name)
		}
	}
}

func (p *parser) flag(a param, to *bool) {
	if !a.hasValue {
		*to = true
		return
	}
	b, err := strconv.ParseBool(a.value)
	if err != nil {
		p.warn("%s=%s is ignored; write %s to switch it on, or leave it out", a.name, a.value, a.name)
		return
	}
	*to = b
}

func (p *parser) timeout(value string) {
	n, err := strconv.Atoi(value)
	if err != nil {
		p.warn("bt.timeout=%s is ignored; write whole seconds, 0 to start at once, -1 to wait for a person", value)
		return
	}
	p.out.Timeout = &n
}

// medium reads the serial number of the medium's FAT file system, in eight hexadecimal digits, and the word again behind a
// comma.
func (p *parser) medium(value string) {
	digits, word, marked := strings.Cut(value, ",")
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || n == 0 || len(digits) != 8 || marked && word != again {
		p.warn("bt.medium=%s is ignored: it is for mkimage, which writes the volume's number there; make the medium again", value)
		return
	}
	p.out.Medium, p.out.Again = uint32(n), marked
}

// bootif reads pxelinux's BOOTIF=01-aa-bb-cc-dd-ee-ff: ARP's hardware type in hexadecimal, then the address. iPXE's
// ${netX/mac:hexhyp} comes without the type.
func (p *parser) bootif(value string) {
	digits := value
	if strings.Count(value, "-") == 6 {
		_, digits, _ = strings.Cut(value, "-")
	}
	mac, err := net.ParseMAC(digits)
	if err != nil || len(mac) != 6 {
		p.warn("BOOTIF=%s is ignored; write 01- and the MAC address with dashes: BOOTIF=01-aa-bb-cc-dd-ee-ff", value)
		return
	}
	p.out.Network.MAC = mac.String()
}

// vlan reads ID, NAME.ID, NAME.ID:DEVICE, and dracut's vlanID[:DEVICE].
func (p *parser) vlan(name, value string) {
	link, device, _ := strings.Cut(value, ":")
	digits := link[len(strings.TrimRight(link, "0123456789")):]
	parent, plain := strings.CutSuffix(link, digits)
	id, err := strconv.Atoi(digits)
	ok := plain && (parent == "" || parent == "vlan" || strings.HasSuffix(parent, "."))
	if err != nil || !ok || id < 1 || id > 4094 {
		p.warn("%s=%s is ignored; write %s=ID with an ID from 1 to 4094, or vlan=eth0.ID:eth0", name, value, name)
		return
	}
	if parent != "vlan" && device == "" {
		device = strings.TrimSuffix(parent, ".")
	}
	p.out.Network.VLAN = id
	p.vlanDevice = device
}

// settleInterface decides between the interfaces named in ip=, vlan= and bt.interface=.
func (p *parser) settleInterface() {
	n := &p.out.Network
	for _, device := range []string{p.btInterface, p.ipDevice, p.vlanDevice} {
		// A MAC address may be written in any of its forms; it is compared in one.
		if mac, err := net.ParseMAC(device); err == nil {
			device = mac.String()
		}
		switch {
		case device == "" || device == n.Interface:
		case n.Interface == "":
			n.Interface = device
		default:
			p.warn("two interfaces are given, %s and %s; %s is used: name only one, with bt.interface=",
				n.Interface, device, n.Interface)
		}
	}
}

const ipHelp = "write ip=dhcp, ip=ADDRESS/PREFIX, or ip=ADDRESS::GATEWAY:NETMASK:HOSTNAME:INTERFACE:none:DNS"

// ip reads the kernel's ip= (Documentation/admin-guide/nfs/nfsroot.rst):
// ADDRESS:SERVER:GATEWAY:NETMASK:HOSTNAME:INTERFACE:AUTOCONF:DNS0:DNS1, or only AUTOCONF; and ADDRESS/PREFIX in
// place of ADDRESS. A later ip= replaces an earlier one.
func (p *parser) ip(value string) {
	n := &p.out.Network
	clean := Network{MAC: n.MAC, VLAN: n.VLAN}
	fields := strings.Split(value, ":")
	if len(fields) == 1 && !strings.ContainsAny(value, "./") {
		if p.autoconf(value, value) {
			clean.DHCP = true
			*n, p.ipDevice = clean, ""
		}
		return
	}
	if len(fields) == 2 && p.isAutoconf(fields[1]) && !strings.Contains(fields[0], ".") {
		// dracut's ip=INTERFACE:dhcp.
		clean.DHCP = true
		*n, p.ipDevice = clean, fields[0]
		return
	}
	if strings.Contains(value, "[") || len(fields) > 10 {
		p.warn("ip=%s is ignored; only IPv4 is spoken here: %s", value, ipHelp)
		return
	}
	parsed, device, err := parseIP(append(fields, make([]string, 10)...))
	if err != nil {
		p.warn("ip=%s is ignored: %v; %s", value, err, ipHelp)
		return
	}
	if len(fields) > 6 && !parsed.Static.IsValid() && !p.autoconf(fields[6], value) {
		return
	}
	parsed.MAC, parsed.VLAN, parsed.DHCP = n.MAC, n.VLAN, !parsed.Static.IsValid()
	*n, p.ipDevice = parsed, device
}

func (p *parser) isAutoconf(word string) bool {
	switch word {
	case "", "dhcp", "on", "any", "both":
		return true
	}
	return false
}

// autoconf says whether the word asks for DHCP, and warns if not.
func (p *parser) autoconf(word, whole string) bool {
	if p.isAutoconf(word) {
		return true
	}
	p.warn("ip=%s is ignored, DHCP is used: a node needs an address, and of the ways to ask for one only dhcp is known; %s",
		whole, ipHelp)
	return false
}

// parseIP reads the fields of the long form; missing ones are empty. Without an address the result asks for DHCP.
func parseIP(f []string) (n Network, device string, err error) {
	n.Hostname, device = f[4], f[5]
	if n.Gateway, err = optionalAddr("gateway", f[2]); err != nil {
		return Network{}, "", err
	}
	if n.Server, err = optionalAddr("server", f[1]); err != nil {
		return Network{}, "", err
	}
	for _, s := range f[7:9] {
		dns, err := optionalAddr("name server", s)
		if err != nil {
			return Network{}, "", err
		}
		if dns.IsValid() {
			n.DNS = append(n.DNS, dns)
		}
	}
	if f[0] == "" {
		return n, device, nil
	}
	n.Static, err = staticPrefix(f[0], f[3])
	if err != nil {
		return Network{}, "", err
	}
	return n, device, nil
}

// optionalAddr parses an IPv4 address; empty and 0.0.0.0 are none.
func optionalAddr(what, s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return netip.Addr{}, fmt.Errorf("the %s %q is no IPv4 address", what, s)
	}
	if a.IsUnspecified() {
		return netip.Addr{}, nil
	}
	return a, nil
}

// staticPrefix joins ADDRESS or ADDRESS/PREFIX with a netmask. Without either the kernel takes the mask of the
// address's class, and so does this.
func staticPrefix(address, mask string) (netip.Prefix, error) {
	if strings.Contains(address, "/") {
		p, err := netip.ParsePrefix(address)
		if err != nil || !p.Addr().Is4() || p.Addr().IsUnspecified() || p.Bits() == 0 {
			return netip.Prefix{}, fmt.Errorf("%q is no IPv4 address with a prefix length", address)
		}
		return p, nil
	}
	a, err := optionalAddr("address", address)
	if err != nil {
		return netip.Prefix{}, err
	}
	if !a.IsValid() {
		return netip.Prefix{}, fmt.Errorf("%q is no address", address)
	}
	ip4 := net.IP(a.AsSlice())
	m := ip4.DefaultMask()
	if mask != "" {
		parsed := net.ParseIP(mask).To4()
		if parsed == nil {
			return netip.Prefix{}, fmt.Errorf("the netmask %q is none", mask)
		}
		m = net.IPMask(parsed)
	}
	ones, bits := m.Size()
	if bits == 0 || ones == 0 {
		return netip.Prefix{}, fmt.Errorf("the netmask %q is none", mask)
	}
	return netip.PrefixFrom(a, ones), nil
}

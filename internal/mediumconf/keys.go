package mediumconf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/seederurl"
)

// maxCmdline is how long the parameters may be together: a kernel's command line has 2047 bytes (COMMAND_LINE_SIZE of x86), and
// what is built in needs some of them.
const maxCmdline = 1024

// key is what is known of a key.
type key struct {
	// read takes in a value and returns what is wrong with it, or nothing.
	read func(p *parser, value string) string
	// example follows "write ".
	example string
	repeats bool
}

// keyNames are the keys as they are listed for people.
var keyNames = []string{"seeder", "ip", "gateway", "dns", "vlan", "interface", "system", "timeout", "console", "cmdline"}

var keys = map[string]key{
	"seeder":    {read: (*parser).seeder, example: "seeder: http://ADDRESS:PORT"},
	"ip":        {read: (*parser).ip, example: "ip: ADDRESS/PREFIX, as in ip: 10.0.0.17/24, or ip: dhcp"},
	"gateway":   {read: (*parser).gateway, example: "gateway: ADDRESS, as in gateway: 10.0.0.1"},
	"dns":       {read: (*parser).dns, example: "dns: ADDRESS, as in dns: 10.0.0.1", repeats: true},
	"vlan":      {read: (*parser).vlan, example: "vlan: ID, a number from 1 to 4094"},
	"interface": {read: (*parser).network, example: "interface: NAME, as in interface: eth0, or interface: MAC address"},
	"system":    {read: (*parser).system, example: "system: NAME, the name of the system's folder"},
	"timeout":   {read: (*parser).timeout, example: "timeout: SECONDS, a whole number; 0 starts at once, -1 waits for a person"},
	"console":   {read: (*parser).console, example: "console: DEVICE, as in console: ttyS0,115200", repeats: true},
	"cmdline":   {read: (*parser).cmdline, example: "cmdline: PARAMETERS, as in cmdline: nomodeset quiet", repeats: true},
}

func (p *parser) seeder(value string) string {
	base, err := seederurl.Base(value)
	if err != nil {
		return fmt.Sprintf("%q is no address of a seeder", shown(value))
	}
	p.out.Seeder = base
	return ""
}

func (p *parser) ip(value string) string {
	if strings.EqualFold(value, "dhcp") {
		p.out.DHCP = true
		return ""
	}
	a, err := netip.ParsePrefix(value)
	switch {
	case err != nil && !strings.Contains(value, "/"):
		if _, err := address(value); err == nil {
			return "the network's size is missing"
		}
	case err == nil && a.Addr().Is4() && !a.Addr().IsUnspecified() && a.Bits() > 0:
		p.out.Static = a
		return ""
	}
	return fmt.Sprintf("%q is no IPv4 address with the size of its network", shown(value))
}

// address reads an IPv4 address of a machine.
func address(value string) (netip.Addr, error) {
	a, err := netip.ParseAddr(value)
	if err != nil || !a.Is4() || a.IsUnspecified() {
		return netip.Addr{}, fmt.Errorf("%q is no IPv4 address", shown(value))
	}
	return a, nil
}

// onlyStatic remembers a line that has no meaning where DHCP is used.
func (p *parser) onlyStatic(name string) {
	p.staticOnly = append(p.staticOnly, Problem{p.line, shown(p.text), name + " has no effect with DHCP, whose server says it",
		"write ip: ADDRESS/PREFIX as well, or remove it"})
}

func (p *parser) gateway(value string) string {
	a, err := address(value)
	if err != nil {
		return err.Error()
	}
	p.out.Gateway = a
	p.onlyStatic("gateway")
	return ""
}

func (p *parser) dns(value string) string {
	var servers []netip.Addr
	for _, word := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		a, err := address(word)
		if err != nil {
			return err.Error()
		}
		servers = append(servers, a)
	}
	if len(servers) == 0 {
		return "there is no address in it"
	}
	p.out.DNS = append(p.out.DNS, servers...)
	p.onlyStatic("dns")
	return ""
}

func (p *parser) vlan(value string) string {
	id, err := strconv.Atoi(value)
	if err != nil || id < 1 || id > 4094 {
		return fmt.Sprintf("%q is no VLAN", shown(value))
	}
	p.out.VLAN = id
	return ""
}

// network reads the network card's name: Linux has up to 15 bytes for one (IFNAMSIZ).
func (p *parser) network(value string) string {
	if mac, err := net.ParseMAC(value); err == nil && len(mac) == 6 {
		p.out.Interface = mac.String()
		return ""
	}
	if len(value) > 15 || strings.ContainsAny(value, " \t/:,") {
		return fmt.Sprintf("%q is no network card's name or MAC address", shown(value))
	}
	p.out.Interface = value
	return ""
}

func (p *parser) system(value string) string {
	if strings.Contains(value, "/") {
		return fmt.Sprintf("%q is no system's name", shown(value))
	}
	p.out.System = value
	return ""
}

func (p *parser) timeout(value string) string {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < -1 {
		return fmt.Sprintf("%q is no number of seconds", shown(value))
	}
	seconds := int(n)
	p.out.Timeout = &seconds
	return ""
}

// console reads what the kernel takes for console=: letters and digits, and options behind a comma
// (Documentation/admin-guide/serial-console.rst).
func (p *parser) console(value string) string {
	device, options, _ := strings.Cut(value, ",")
	plain := func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != ','
		})
	}
	if device == "" || !plain(device) || !plain(options) {
		return fmt.Sprintf("%q is no console", shown(value))
	}
	p.out.Consoles = append(p.out.Consoles, value)
	return ""
}

func (p *parser) cmdline(value string) string {
	var misread *image.CmdlineError
	if errors.As(image.CheckKernel(value), &misread) {
		return misread.What
	}
	for _, word := range strings.Fields(value) {
		if strings.HasPrefix(strings.Trim(word, `"`), Argument) {
			return Argument + " is not for people"
		}
	}
	if len(p.out.Cmdline)+1+len(value) > maxCmdline {
		return fmt.Sprintf("it is longer than %d characters", maxCmdline)
	}
	p.out.Cmdline = strings.TrimSpace(p.out.Cmdline + " " + value)
	return ""
}

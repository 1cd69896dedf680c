package site

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// A site of the original BootTorrent (version 0.1 of 2018) has Boottorrent.yaml instead of boottorrent.yaml. What its keys
// mean is in its documentation (usage.rst); what it refuses is what verify_config_v0 of its cli.py refused.

// original reads one such file.
type original struct {
	*checker
	site *Site
	// idle are the keys that have no effect here, each with what replaces it.
	idle   []string
	idleAt place
}

// readOriginal reads Boottorrent.yaml into s, and returns the name of the default system.
func readOriginal(m *mapping, s *Site) (defaultSystem text) {
	o := &original{checker: m.check, site: s}
	s.Original = true
	s.Node.Consoles = slices.Clone(defaultConsoles)
	s.Log = Log{Level: "info", Format: "text"}
	s.Ports = Ports{HTTP: 8080, TFTP: 69, Torrent: 6881}
	defaultSystem = o.boottorrent(o.section(m, "boottorrent"))
	dnsmasq, tracker, aria2 := o.section(m, "dnsmasq"), o.section(m, "opentracker"), o.section(m, "aria2")
	o.dnsmasq(dnsmasq)
	tracked := o.tracker(tracker)
	o.aria2(aria2, tracked)
	o.unknown(m)
	if len(o.idle) > 0 {
		o.warning(o.idleAt, "these keys of the original have no effect here: "+strings.Join(o.idle, "; "),
			"leave them as they are, or let 'seeder migrate "+o.dir+"' write a "+ConfigFile+" without them")
	}
	return defaultSystem
}

// section reads one of the four groups of keys, which must be there.
func (o *original) section(m *mapping, name string) *mapping {
	if !m.has(name) {
		o.problem(m.at, "the section "+name+" is missing", "write it as in the original's documentation: "+name+": and its keys below, indented")
	}
	return m.mapping(name)
}

// noEffect notes a key that is there and has no effect.
func (o *original) noEffect(m *mapping, key, instead string) {
	if m.has(key) {
		if len(o.idle) == 0 {
			o.idleAt = m.place(key)
		}
		o.idle = append(o.idle, fmt.Sprintf("%s%s (%s)", m.path, key, instead))
	}
}

// unknown notes the keys that the original never had, which it ignored.
func (o *original) unknown(m *mapping) {
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		if !slices.Contains(m.asked, key) {
			o.noEffect(m, key, "unknown")
		}
	}
}

// whole reads a number that must be there, in digits with or without quotes, as the original did.
func (o *original) whole(m *mapping, key string, low, high int) int {
	if !m.has(key) {
		m.asked = append(m.asked, key)
		o.problem(m.place(key), m.path+key+" is missing", "write a whole number")
		return low
	}
	if s, ok := m.values[key].(*ast.StringNode); ok {
		m.asked = append(m.asked, key)
		if n, err := strconv.Atoi(strings.TrimSpace(s.Value)); err == nil && n >= low && n <= high {
			return n
		}
		o.problem(m.place(key), fmt.Sprintf("%s%s is %q", m.path, key, s.Value), "write a whole number"+bounds(low, high))
		return low
	}
	return m.integer(key, low, low, high)
}

// flag reads true or false, which must be there.
func (o *original) flag(m *mapping, key string) bool {
	if !m.has(key) {
		m.asked = append(m.asked, key)
		o.problem(m.place(key), m.path+key+" is missing", "write True or False")
		return false
	}
	return m.boolean(key, false)
}

func (o *original) boottorrent(m *mapping) (defaultSystem text) {
	s := o.site
	if version := m.integer("version", -1, math.MinInt32, math.MaxInt32); version != 0 {
		o.problem(m.place("version"), "boottorrent.version is not 0, and the original had no other",
			"write version: 0, or write a "+ConfigFile+" as 'seeder init' makes it")
	}
	s.Defaults.Timeout = o.whole(m, "timeout", math.MinInt32, math.MaxInt32)
	s.Defaults.SeedTime = o.whole(m, "seed_time", 0, math.MaxInt32)
	defaultSystem, _ = m.required("default_os", "name a folder of "+SystemsDir)
	s.Defaults.System = defaultSystem.value
	if address, ok := m.required("host_ip", "write this machine's address, as nodes see it: 192.168.1.1"); ok {
		s.Serve.Address = parseIPv4(o.checker, "boottorrent.host_ip", address)
	}
	o.unknown(m)
	return defaultSystem
}

func (o *original) dnsmasq(m *mapping) {
	s := o.site
	dhcp := o.flag(m, "enable_dhcp")
	if !o.flag(m, "enable_tftp") {
		s.Ports.TFTP = 0
	}
	m.required("interface", "name the network interface of host_ip, as in: ip link")
	o.noEffect(m, "interface", "the seeder serves on the interface that has host_ip")
	m.text("user", "")
	o.noEffect(m, "user", "the seeder stays the user that starts it")
	m.boolean("bind_interfaces", true)
	o.noEffect(m, "bind_interfaces", "only host_ip is listened on")
	span, ok := m.required("dhcp_range", "write the first and the last address to hand out, and the lease time: \"192.168.1.50,192.168.1.150,12h\"")
	// Without its own DHCP server the original left all to another one, which had to be told. Proxy mode adds to that one's
	// answers, so that it need not be.
	s.DHCP.Mode = DHCPProxy
	if dhcp && ok {
		s.DHCP.Mode = DHCPServer
		o.dhcpRange(span)
	}
	o.unknown(m)
}

// dhcpRange reads FIRST,LAST[,NETMASK[,BROADCAST]][,LEASE], as dnsmasq(8) has it under --dhcp-range.
func (o *original) dhcpRange(t text) {
	d := &o.site.DHCP
	d.Lease = time.Hour // as dnsmasq's
	parts := strings.Split(t.value, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	const do = "write it as \"192.168.1.50,192.168.1.150,12h\""
	if name, _, tagged := strings.Cut(parts[0], ":"); tagged {
		o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range has %s:, which the seeder doesn't know", name), do)
		return
	}
	if len(parts) < 2 || len(parts) > 5 {
		o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range is %q", t.value), do)
		return
	}
	if parts[1] == "proxy" || parts[1] == "static" {
		o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range is of the kind %s", parts[1]), do+"; beside another DHCP server, write enable_dhcp: False")
		return
	}
	d.First = parseIPv4(o.checker, "the first address of dnsmasq.dhcp_range", text{t.place, parts[0]})
	d.Last = parseIPv4(o.checker, "the last address of dnsmasq.dhcp_range", text{t.place, parts[1]})
	rest := parts[2:]
	for len(rest) > 0 && strings.Contains(rest[0], ".") { // netmask, broadcast: they are those of the interface here
		if _, err := netip.ParseAddr(rest[0]); err != nil {
			o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range: %q is neither a netmask nor a time", rest[0]), do)
		}
		rest = rest[1:]
	}
	if len(rest) > 1 {
		o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range has %q at its end", strings.Join(rest[1:], ",")), do)
	}
	if len(rest) > 0 {
		lease, err := dnsmasqLease(rest[0])
		if err != nil {
			o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range: %v", err), "write seconds, or a number with m, h, d or w, or infinite")
		}
		d.Lease = lease
	}
	span := newMapping(o.checker, "dnsmasq.dhcp_range", t.place, nil)
	checkRange(span, &DHCP{First: d.First, Last: d.Last}, o.site.Serve.Address)
}

// longest is what a lease without end is taken for: a lease of DHCP has its seconds in 32 bits.
const longest = 100 * 365 * 24 * time.Hour

// dnsmasqLease reads a lease time of dnsmasq: seconds, or a number with a unit; at least two minutes, which dnsmasq makes of
// anything shorter.
func dnsmasqLease(text string) (time.Duration, error) {
	if text == "infinite" || text == "" {
		return longest, nil
	}
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	unit, known := units[text[len(text)-1]|0x20]
	digits := text
	if known {
		digits = text[:len(text)-1]
	} else {
		unit = time.Second
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return time.Hour, fmt.Errorf("%q is no lease time", text)
	}
	if n > uint64(longest/unit) {
		return longest, nil
	}
	return max(time.Duration(n)*unit, 2*time.Minute), nil
}

// tracker reads opentracker, and reports whether it was on. The seeder's tracker answers on its HTTP port, so that is it.
func (o *original) tracker(m *mapping) bool {
	on := o.flag(m, "enable")
	port := 8080
	if on || m.has("port") {
		port = o.whole(m, "port", 1, math.MaxUint16)
	}
	if on {
		o.site.Ports.HTTP = uint16(port)
	} else {
		o.noEffect(m, "enable", "the tracker is part of the HTTP server and always on")
		o.noEffect(m, "port", "the HTTP server's port is 8080")
	}
	if o.site.Ports.HTTP == o.site.Ports.Torrent {
		o.problem(m.place("port"), fmt.Sprintf("opentracker.port %d is the port of the seeder's BitTorrent", port), "take another")
	}
	o.unknown(m)
	return on
}

func (o *original) aria2(m *mapping, tracked bool) {
	lpd := o.flag(m, "bt_enable_lpd")
	if !tracked && !lpd && len(o.problems) == 0 {
		o.problem(m.place("bt_enable_lpd"), "nodes have no way to find each other: opentracker.enable and aria2.bt_enable_lpd are both False",
			"write enable: True below opentracker")
	}
	o.noEffect(m, "bt_enable_lpd", "nodes find each other by the tracker and by peer exchange")
	m.boolean("enable_peer_exchange", true)
	o.noEffect(m, "enable_peer_exchange", "it is always on")
	if level, ok := m.required("console_log_level", "write debug, info, notice, warn or error"); ok {
		if !slices.Contains([]string{"debug", "info", "notice", "warn", "error"}, level.value) {
			o.problem(level.place, fmt.Sprintf("aria2.console_log_level is %q", level.value), "write debug, info, notice, warn or error")
		}
		o.noEffect(m, "console_log_level", "nodes say what matters, and more with bt.debug on their command line")
	}
	o.unknown(m)
}

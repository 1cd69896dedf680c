package site

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// A site of the original BootTorrent (version 0, as of its release 0.1.1 of 2018) has Boottorrent.yaml instead of
// boottorrent.yaml. What its keys mean is in its documentation (usage.rst), its templates (dnsmasq.conf.tpl, aria2.conf.tpl)
// and its client (tui.go). What is refused is what verify_config_v0 of its cli.py refused. It offered every folder of oss/, in no
// particular order, and took paths in a config.yaml as relative to that folder, a slash in front or not.

// original reads one such file.
type original struct {
	*checker
	site *Site
	// host is host_ip.
	host netip.Addr
	// fates are what became of the keys in the file, sections are the places of the four groups.
	fates    []fate
	sections map[string]place
}

// fate is what became of a key.
type fate struct {
	at place
	// key is with its section; value is as it is written.
	key, value string
	// now is the key of version 1 with its value; empty if it is always so here, or lost.
	now string
	// lost is what there is instead of what the key meant; empty if it is honoured as it was.
	lost string
}

// readOriginal reads Boottorrent.yaml into s, and returns the name of the default system.
func readOriginal(m *mapping, s *Site) (o *original, defaultSystem text) {
	o = &original{checker: m.check, site: s, sections: map[string]place{}}
	s.Original = true
	s.Node.Consoles = slices.Clone(defaultConsoles)
	s.Log = Log{Level: "info", Format: "text"}
	s.Ports = Ports{HTTP: 8080, TFTP: 69, Torrent: 6881}
	s.DHCP = DHCP{Mode: DHCPProxy, Lease: time.Hour}
	if !isSiteName(s.Name) {
		o.problem(m.at, fmt.Sprintf("the folder's name %q can't be the site's, which nodes show", s.Name), "rename the folder")
	}
	defaultSystem = text{place: m.at}
	o.section(m, "boottorrent", func(m *mapping) { defaultSystem = o.boottorrent(m) })
	o.section(m, "dnsmasq", o.dnsmasq)
	o.discovery(m)
	o.unknown(m)
	slices.SortStableFunc(o.fates, func(a, b fate) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.col, b.at.col))
	})
	o.warnOfLost(m.at)
	return o, defaultSystem
}

// warnOfLost names all keys that are not honoured, in one warning.
func (o *original) warnOfLost(at place) {
	var lost []string
	for _, f := range o.fates {
		if f.lost != "" {
			lost = append(lost, fmt.Sprintf("%s (%s)", f.key, f.lost))
		}
	}
	if len(lost) > 0 {
		o.warning(at, "of the original's keys, these have another effect here or none: "+strings.Join(lost, "; "),
			"they can stay; 'seeder migrate "+o.dir+"' writes a "+ConfigFile+" without them")
	}
}

// became notes where the value of a key is now; empty if that is how it always is.
func (o *original) became(m *mapping, key, now string) { o.note(m, key, now, "") }

// lost notes a key that is not honoured, and what there is instead.
func (o *original) lost(m *mapping, key, instead string) { o.note(m, key, "", instead) }

func (o *original) note(m *mapping, key, now, lost string) {
	m.asked = append(m.asked, key)
	if m.has(key) {
		o.fates = append(o.fates, fate{m.keys[key], m.path + key, written(m.values[key]), now, lost})
	}
}

// written is a value as it stands in the file, in one line.
func written(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		return "…"
	}
	return strings.Join(strings.Fields(n.String()), " ")
}

// section reads one of the four groups of keys, which must be there.
func (o *original) section(m *mapping, name string, read func(*mapping)) {
	if !m.has(name) {
		m.asked = append(m.asked, name)
		o.problem(m.place(name), "the section "+name+" is missing",
			"write it as the original's documentation has it: "+name+": and its keys below, indented")
		return
	}
	o.sections[name] = m.keys[name]
	sub := m.mapping(name)
	read(sub)
	o.unknown(sub)
}

// unknown notes the keys that version 0 doesn't have, which it ignored.
func (o *original) unknown(m *mapping) {
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		if slices.Contains(m.asked, key) {
			continue
		}
		instead := "unknown to the original, too"
		if near := nearest(key, m.asked); near != "" {
			instead += "; " + near + " is not"
		}
		if key == "display_oss" {
			instead = "every folder of oss is offered; hidden: true in its config.yaml leaves one out of the chooser"
		}
		o.lost(m, key, instead)
	}
}

func (o *original) boottorrent(m *mapping) (defaultSystem text) {
	s := o.site
	version, at := m.integer("version", -1, math.MinInt32, math.MaxInt32), m.place("version")
	if version != 0 && !o.hasProblemAt(at) {
		o.problem(at, "version is not 0, and the original had no other", "write version: 0 here, or make a new site with: seeder init DIR")
	}
	o.became(m, "version", "version: 1")
	s.Defaults.Timeout, _ = o.whole(m, "timeout", math.MinInt32, math.MaxInt32)
	o.became(m, "timeout", fmt.Sprintf("timeout: %d", s.Defaults.Timeout))
	s.Defaults.SeedTime, _ = o.whole(m, "seed_time", 0, math.MaxInt32)
	o.became(m, "seed_time", fmt.Sprintf("seed_time: %d", s.Defaults.SeedTime))
	defaultSystem, _ = m.required("default_os", "name a folder of "+SystemsDir)
	s.Defaults.System = defaultSystem.value
	o.became(m, "default_os", "default: "+defaultSystem.value)
	if address, ok := m.required("host_ip", "write this machine's address, as nodes see it: 192.168.1.1"); ok {
		o.host = parseIPv4(o.checker, "boottorrent.host_ip", address)
		s.Serve.Address = o.host
	}
	o.became(m, "host_ip", "serve.address: "+o.host.String())
	return defaultSystem
}

func (o *original) dnsmasq(m *mapping) {
	o.interfaces(m)
	o.dhcp(m)
	if on, ok := o.flag(m, "enable_tftp"); ok && !on {
		o.site.Ports.TFTP = 0
	}
	o.became(m, "enable_tftp", fmt.Sprintf("ports.tftp: %d", o.site.Ports.TFTP))
	o.lost(m, "user", "the seeder stays the user that starts it; ports below 1024 need CAP_NET_BIND_SERVICE, DHCP CAP_NET_RAW, too")
	// Without it the original's dnsmasq listened everywhere, but answered on its interface only.
	if on, ok := o.optional(m, "bind_interfaces", true); ok && !on {
		o.lost(m, "bind_interfaces", "the seeder listens on its interface's address only")
	} else {
		o.became(m, "bind_interfaces", "")
	}
}

// interfaces reads interface, of which dnsmasq takes several with commas between them. The address is one of a single interface.
func (o *original) interfaces(m *mapping) {
	s := &o.site.Serve
	if t, ok := m.required("interface", "name the network interface that nodes are on, as in: ip link"); ok {
		for name := range strings.SplitSeq(t.value, ",") {
			name = strings.TrimSpace(name)
			if strings.ContainsAny(name, "*?") {
				o.problem(t.place, fmt.Sprintf("dnsmasq.interface: %q is a pattern", name), "name each interface, with commas between them")
				continue
			}
			checkInterface(o.checker, text{t.place, name})
			if !slices.Contains(s.Interfaces, name) {
				s.Interfaces = append(s.Interfaces, name)
			}
		}
	}
	o.became(m, "interface", "serve.interfaces: ["+strings.Join(s.Interfaces, ", ")+"]")
	if len(s.Interfaces) > 1 {
		s.Address = netip.Addr{}
		for i, f := range o.fates {
			if f.key == "boottorrent.host_ip" {
				o.fates[i].now, o.fates[i].lost = "", "each of the interfaces is served on its own first address"
			}
		}
	}
}

// dhcp reads enable_dhcp and dhcp_range. Without its own DHCP server the original left all to another one, which somebody had to
// tell of pxelinux.0 (its FAQ). In proxy mode the seeder adds the boot file to that server's answers, whatever it was told, and
// gives no addresses.
func (o *original) dhcp(m *mapping) {
	span, hasRange := m.required("dhcp_range", "write the first and last address to hand out, and the lease time: "+rangeExample)
	on, ok := o.flag(m, "enable_dhcp")
	switch {
	case ok && !on:
		o.note(m, "enable_dhcp", "dhcp.mode: proxy", "the seeder gives no addresses, but tells boot clients beside the other DHCP server what to boot; "+
			"dhcp: mode: off in a "+ConfigFile+" keeps it silent")
		o.became(m, "dhcp_range", "")
		return
	case ok && hasRange:
		o.dhcpRange(span)
	}
	d := o.site.DHCP
	o.became(m, "enable_dhcp", "dhcp.mode: "+string(d.Mode))
	var now []string
	for _, key := range rangeKeys(d) {
		now = append(now, "dhcp."+key)
	}
	o.became(m, "dhcp_range", strings.Join(now, ", "))
}

// discovery reads opentracker and aria2: how nodes find each other, and what they say of it.
func (o *original) discovery(m *mapping) {
	var tracker, lpd, known bool
	o.section(m, "opentracker", func(m *mapping) { tracker, known = o.tracker(m) })
	o.section(m, "aria2", func(m *mapping) {
		var ok bool
		lpd, ok = o.flag(m, "bt_enable_lpd")
		if known && ok && !tracker && !lpd {
			o.problem(m.place("bt_enable_lpd"), "nodes have no way to find each other: opentracker.enable and aria2.bt_enable_lpd are both false",
				"write enable: True below opentracker")
		}
		o.aria2(m, lpd)
	})
}

// tracker reads opentracker, and reports whether it was on. The seeder's tracker answers on the HTTP port, so that is the
// port that people have found free, and opened in firewalls.
func (o *original) tracker(m *mapping) (on, ok bool) {
	p := &o.site.Ports
	on, ok = o.flag(m, "enable")
	if port, ok := o.whole(m, "port", 1, math.MaxUint16); ok {
		p.HTTP = uint16(port)
	}
	if p.HTTP == p.Torrent {
		p.Torrent++ // aria2 would take the next free one, too
	}
	if ok && !on {
		o.lost(m, "enable", "nodes find each other by the seeder's tracker, which is part of its HTTP server")
	} else {
		o.became(m, "enable", "")
	}
	o.became(m, "port", fmt.Sprintf("ports.http: %d", p.HTTP))
	return on, ok
}

func (o *original) aria2(m *mapping, lpd bool) {
	if lpd {
		o.lost(m, "bt_enable_lpd", "local peer discovery, BEP 14, is not used: "+
			"nodes find each other by the seeder's tracker, and at once")
	} else {
		o.became(m, "bt_enable_lpd", "")
	}
	// With or without it, the tracker tells nodes of each other.
	o.optional(m, "enable_peer_exchange", true)
	o.became(m, "enable_peer_exchange", "")
	o.logLevel(m)
}

// logLevel reads console_log_level, which is that of aria2 alone, on the seeder and on nodes. Short of debug, BitTorrent tells only
// of failures here. What the seeder else tells, the original's dnsmasq and opentracker told at every level.
func (o *original) logLevel(m *mapping) {
	levels := []string{"debug", "info", "notice", "warn", "error"}
	do := "write one of: " + strings.Join(levels, ", ")
	now := "log.level: info"
	if t, ok := m.required("console_log_level", do); ok {
		if !slices.Contains(levels, t.value) {
			o.problem(t.place, fmt.Sprintf("aria2.console_log_level is %q", t.value), do)
		}
		if t.value == "debug" {
			o.site.Log.Level, o.site.Node.Cmdline = "debug", "bt.debug"
			now = "log.level: debug, node.cmdline: bt.debug"
		}
	}
	o.became(m, "console_log_level", now)
}

// whole reads a number that must be there. It may be in quotes, as Python's int() took it.
func (o *original) whole(m *mapping, key string, low, high int) (n int, ok bool) {
	do := "write a whole number" + bounds(low, high)
	m.asked = append(m.asked, key)
	if !m.has(key) {
		o.problem(m.place(key), m.path+key+" is missing", do)
		return low, false
	}
	if s, quoted := m.values[key].(*ast.StringNode); quoted {
		n, err := strconv.Atoi(strings.TrimSpace(s.Value))
		if err != nil || n < low || n > high {
			o.problem(m.place(key), fmt.Sprintf("%s%s is %q", m.path, key, s.Value), do)
			return low, false
		}
		return n, true
	}
	n = m.integer(key, low, low, high)
	return n, !o.hasProblemAt(m.place(key))
}

// flag reads true or false, which must be there.
func (o *original) flag(m *mapping, key string) (value, ok bool) {
	if !m.has(key) {
		m.asked = append(m.asked, key)
		o.problem(m.place(key), m.path+key+" is missing", "write True or False")
		return false, false
	}
	return o.optional(m, key, false)
}

// optional reads true or false in the words of YAML 1.1, which the original's libraries read.
func (o *original) optional(m *mapping, key string, absent bool) (value, ok bool) {
	if s, isText := m.values[key].(*ast.StringNode); isText && s.Token.Type == token.StringType {
		switch s.Value {
		case "yes", "Yes", "YES", "on", "On", "ON":
			return true, true
		case "no", "No", "NO", "off", "Off", "OFF":
			return false, true
		}
	}
	value = m.boolean(key, absent)
	return value, !o.hasProblemAt(m.place(key))
}

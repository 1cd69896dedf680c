package v0

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/boottorrent/boottorrent/internal/self"
)

// sections are the four groups of keys that a Boottorrent.yaml has.
var sections = []struct {
	name string
	keys []string
}{
	{"boottorrent", []string{"version", "timeout", "seed_time", "default_os", "host_ip"}},
	{"dnsmasq", []string{"interface", "dhcp_range", "enable_dhcp", "enable_tftp", "user", "bind_interfaces"}},
	{"opentracker", []string{"enable", "port"}},
	{"aria2", []string{"bt_enable_lpd", "enable_peer_exchange", "console_log_level"}},
}

// converter makes a document.
type converter struct {
	*Document
	// dir is the site's directory in messages.
	dir string
	top Group
	// groups are the sections that are there.
	groups map[string]Group
	// host is host_ip.
	host netip.Addr
	// lost is what there is instead of what keys meant, by their whole names.
	lost map[string]string
}

// Convert makes a document of what is in a Boottorrent.yaml. What is wrong there is reported to the groups that it is in. dir is the
// site's directory in messages.
func Convert(top Group, dir string) *Document {
	c := &converter{Document: &Document{sections: map[string]Place{}}, dir: dir, top: top, groups: map[string]Group{}, lost: map[string]string{}}
	for _, s := range sections {
		if top.Values()[s.name] == nil {
			top.Problem(s.name, "the section "+s.name+" is missing",
				"write it as the original's documentation has it: "+s.name+": and its keys below, indented")
			continue
		}
		c.sections[s.name], _ = top.Places(s.name)
		c.groups[s.name] = top.Group(s.name)
	}
	c.put("version", "1", "boottorrent.version")
	if g := c.groups["boottorrent"]; g != nil {
		c.boottorrent(g)
	}
	if g := c.groups["dnsmasq"]; g != nil {
		c.dnsmasq(g)
	}
	c.discovery(c.groups["opentracker"], c.groups["aria2"])
	c.finish()
	return c.Document
}

// finish puts keys and fates in order, and names all keys that are not honoured, in one warning.
func (c *converter) finish() {
	slices.SortFunc(c.keys, func(a, b key) int { return cmp.Compare(slices.Index(order, a.path), slices.Index(order, b.path)) })
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
		if g := c.groups[s.name]; g != nil {
			c.fates(g, s.name+".", s.keys)
		}
	}
	c.fates(c.top, "", names)
	slices.SortFunc(c.Fates, func(a, b Fate) int { return a.At.compare(b.At) })
	var lost []string
	for _, f := range c.Fates {
		if f.Lost != "" {
			lost = append(lost, fmt.Sprintf("%s (%s)", f.Key, f.Lost))
		}
	}
	if len(lost) > 0 {
		c.top.Warning("", "of the original's keys, these have another effect here or none: "+strings.Join(lost, "; "),
			"they can stay; '"+self.Seeder()+" migrate "+c.dir+"' writes a "+NewFile+" without them")
	}
}

// fates notes what became of the keys in a group, of which version 0 knew some and ignored the others.
func (c *converter) fates(g Group, path string, known []string) {
	for name, value := range g.Values() {
		at, _ := g.Places(name)
		f := Fate{At: at, Key: path + name, Value: written(value), Lost: c.lost[path+name]}
		if !slices.Contains(known, name) {
			f.Lost = unknown(g, name, known)
		} else if path == "" {
			continue
		}
		var now []string
		for _, k := range c.keys {
			if k.from == f.Key {
				now = append(now, k.path+": "+strings.ReplaceAll(k.value, `"`, ""))
			}
		}
		f.Now = strings.Join(now, ", ")
		c.Fates = append(c.Fates, f)
	}
}

// unknown is what there is instead of a key that version 0 doesn't have.
func unknown(g Group, key string, known []string) string {
	if key == "display_oss" {
		return "every folder of oss is offered; hidden: true in its config.yaml leaves one out of the chooser"
	}
	if near := g.Nearest(key, known); near != "" {
		return "unknown to the original, too; " + near + " is not"
	}
	return "unknown to the original, too"
}

// written is a value as it stands in the file, in one line.
func written(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		return "…"
	}
	return strings.Join(strings.Fields(n.String()), " ")
}

func (c *converter) boottorrent(g Group) {
	version, ok := g.Integer("version", math.MinInt32, math.MaxInt32)
	if g.Values()["version"] == nil || ok && version != 0 {
		g.Problem("version", "version is not 0, and the original had no other", "write version: 0 here, or make a new site with: "+self.Seeder()+" init DIR")
	}
	if n, ok := g.Whole("timeout", math.MinInt32, math.MaxInt32); ok {
		c.put("timeout", strconv.Itoa(n), "boottorrent.timeout")
	}
	if n, ok := g.Whole("seed_time", 0, math.MaxInt32); ok {
		c.put("seed_time", strconv.Itoa(n), "boottorrent.seed_time")
	}
	if name, ok := g.Required("default_os", "name a folder of oss"); ok {
		c.put("default", strconv.Quote(name), "boottorrent.default_os")
	}
	if address, ok := g.Required("host_ip", "write this machine's address, as nodes see it: 192.168.1.1"); ok {
		if c.host, ok = g.IPv4("host_ip", address); ok {
			c.put("serve.address", c.host.String(), "boottorrent.host_ip")
		}
	}
}

func (c *converter) dnsmasq(g Group) {
	c.interfaces(g)
	c.dhcp(g)
	if on, ok := flag(g, "dnsmasq.", "enable_tftp"); ok {
		c.put("ports.tftp", map[bool]string{true: "69", false: "0"}[on], "dnsmasq.enable_tftp")
	}
	c.lost["dnsmasq.user"] = "the seeder stays the user that starts it; ports below 1024 need CAP_NET_BIND_SERVICE, DHCP CAP_NET_RAW, too"
	// Without it the original's dnsmasq listened everywhere, but answered on its interface only.
	if on, ok := boolean(g, "bind_interfaces", true); ok && !on {
		c.lost["dnsmasq.bind_interfaces"] = "the seeder listens on its interface's address only"
	}
}

// interfaces reads interface, of which dnsmasq takes several with commas between them. The address is one of a single interface.
func (c *converter) interfaces(g Group) {
	value, ok := g.Required("interface", "name the network interface that nodes are on, as in: ip link")
	if !ok {
		return
	}
	var names, quoted []string
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		if strings.ContainsAny(name, "*?") {
			g.Problem("interface", fmt.Sprintf("dnsmasq.interface: %q is a pattern", name), "name each interface, with commas between them")
		} else if !slices.Contains(names, name) {
			names, quoted = append(names, name), append(quoted, strconv.Quote(name))
		}
	}
	c.put("serve.interfaces", "["+strings.Join(quoted, ", ")+"]", "dnsmasq.interface")
	if len(names) > 1 {
		c.keys = slices.DeleteFunc(c.keys, func(k key) bool { return k.path == "serve.address" })
		c.lost["boottorrent.host_ip"] = "each of the interfaces is served on its own first address"
	}
}

// dhcp reads enable_dhcp and dhcp_range. Without its own DHCP server the original left all to another one, which somebody had to
// tell of pxelinux.0 (its FAQ). In proxy mode the seeder adds the boot file to that server's answers, whatever it was told, and
// gives no addresses.
func (c *converter) dhcp(g Group) {
	span, hasRange := g.Required("dhcp_range", "write the first and last address to hand out, and the lease time: "+rangeExample)
	on, ok := flag(g, "dnsmasq.", "enable_dhcp")
	if ok && !on {
		c.lost["dnsmasq.enable_dhcp"] = "the seeder gives no addresses, but tells boot clients beside the other DHCP server what to boot; " +
			"dhcp: mode: off in a " + NewFile + " keeps it silent"
	}
	if on && hasRange && c.dhcpRange(g, span) {
		c.put("dhcp.mode", "server", "dnsmasq.enable_dhcp")
		return
	}
	c.put("dhcp.mode", "proxy", "dnsmasq.enable_dhcp", "dnsmasq.dhcp_range")
}

// discovery reads opentracker and aria2: how nodes find each other, and what they say of it.
func (c *converter) discovery(opentracker, aria2 Group) {
	var tracker, known bool
	if opentracker != nil {
		tracker, known = c.tracker(opentracker)
	}
	if aria2 == nil {
		return
	}
	lpd, ok := flag(aria2, "aria2.", "bt_enable_lpd")
	if known && ok && !tracker && !lpd {
		aria2.Problem("bt_enable_lpd", "nodes have no way to find each other: opentracker.enable and aria2.bt_enable_lpd are both false",
			"write enable: True below opentracker")
	}
	if lpd {
		c.lost["aria2.bt_enable_lpd"] = "local peer discovery, BEP 14, is not used: nodes find each other by the seeder's tracker, and at once"
	}
	boolean(aria2, "enable_peer_exchange", true) // with or without it, the tracker tells nodes of each other
	c.logLevel(aria2)
}

// tracker reads opentracker, and reports whether it was on. The seeder's tracker answers on the HTTP port, so that is the
// port that people have found free, and opened in firewalls.
func (c *converter) tracker(g Group) (on, ok bool) {
	torrent := 6881
	if port, ok := g.Whole("port", 1, math.MaxUint16); ok {
		c.put("ports.http", strconv.Itoa(port), "opentracker.port", "opentracker.enable")
		if port == torrent {
			torrent++ // aria2 would take the next free one, too
		}
	}
	c.put("ports.torrent", strconv.Itoa(torrent), "")
	on, ok = flag(g, "opentracker.", "enable")
	if ok && !on {
		c.lost["opentracker.enable"] = "nodes find each other by the seeder's tracker, which is part of its HTTP server"
	}
	return on, ok
}

// logLevel reads console_log_level, which is that of aria2 alone, on the seeder and on nodes. Short of debug, BitTorrent tells only
// of failures here. What the seeder else tells, the original's dnsmasq and opentracker told at every level.
func (c *converter) logLevel(g Group) {
	const from = "aria2.console_log_level"
	levels := []string{"debug", "info", "notice", "warn", "error"}
	do := "write one of: " + strings.Join(levels, ", ")
	level, ok := g.Required("console_log_level", do)
	switch {
	case !ok:
	case level == "debug":
		c.put("log.level", "debug", from)
		c.put("node.cmdline", `"bt.debug"`, from)
	case slices.Contains(levels, level):
		c.put("log.level", "info", from)
	default:
		g.Problem("console_log_level", fmt.Sprintf("%s is %q", from, level), do)
	}
}

// put adds a key of version 1 that comes from one of the original; the comments of near stand above it, too.
func (c *converter) put(path, value, from string, near ...string) {
	k := key{path: path, value: value, from: from, near: near}
	section, name, _ := strings.Cut(from, ".")
	if g := c.groups[section]; g != nil {
		_, k.at = g.Places(name)
	}
	c.keys = append(c.keys, k)
}

// flag reads true or false, which must be there.
func flag(g Group, section, key string) (value, ok bool) {
	if g.Values()[key] == nil {
		g.Problem(key, section+key+" is missing", "write True or False")
		return false, false
	}
	return boolean(g, key, false)
}

// boolean reads true or false in the words of YAML 1.1, which the original's libraries read.
func boolean(g Group, key string, absent bool) (value, ok bool) {
	if s, isText := g.Values()[key].(*ast.StringNode); isText && s.Token.Type == token.StringType {
		switch s.Value {
		case "yes", "Yes", "YES", "on", "On", "ON":
			return true, true
		case "no", "No", "NO", "off", "Off", "OFF":
			return false, true
		}
	}
	return g.Boolean(key, absent)
}

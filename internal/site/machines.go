package site

import (
	"fmt"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/rules"
)

// Machine is a single machine of the site.
type Machine struct {
	catalog.Machine
	// Address is what DHCP gives to it; zero: one of the range.
	Address netip.Addr
	// Notes are for people.
	Notes string
}

// maxNotes is in bytes: a few sentences.
const maxNotes = 1000

// taken are addresses and names that one machine each has, with where that is written.
type taken map[string]place

// unique reports in words what something else has already. verb says what is written there.
func (k taken) unique(c *checker, t text, what, key, verb string) bool {
	if first, twice := k[what+key]; twice {
		c.problem(t.place, fmt.Sprintf("%s %s is %s twice, first in line %d", what, key, verb, first.line), "remove one")
		return false
	}
	k[what+key] = t.place
	return true
}

// readMachines reads the list of machines. reserved is what dhcp.reservations gives away; groups are where the groups are. The addresses
// become reservations.
func readMachines(m *mapping, s *Site, reserved taken, groups groupPlaces) {
	names := map[string]place{catalog.GroupAll: m.place("groups")}
	for name, at := range groups {
		names[strings.ToLower(name)] = at
	}
	listed := taken{}
	for i, e := range m.mappings("machines") {
		if i == catalog.MaxMachines {
			m.check.problem(e.at, fmt.Sprintf("there are more than %d machines", catalog.MaxMachines), "match the others by groups, which takes no entry for each")
			break
		}
		before := len(m.check.problems)
		machine := readMachine(e, names, groups, s.Groups)
		hostname := e.text("hostname", "")
		e.reserve(&machine, hostname, s, listed, reserved)
		e.done()
		if len(m.check.problems) > before {
			continue
		}
		s.Machines = append(s.Machines, machine)
	}
	slices.SortFunc(s.Machines, func(a, b Machine) int { return strings.Compare(a.MAC, b.MAC) })
	if s.reserveMachines() && s.DHCP.Mode != DHCPServer {
		m.check.warning(m.place("machines"), fmt.Sprintf("the addresses in machines are not given with dhcp mode %s", s.DHCP.Mode),
			"write mode: server below dhcp, if this seeder is to hand out addresses")
	}
}

// reserveMachines makes reservations of the machines' addresses, and reports whether there are any. DHCP gives them the names that they will
// have by the rules, as far as those can be told before a machine says what it is.
func (s *Site) reserveMachines() (some bool) {
	cat := &catalog.Catalog{Rules: s.Rules()}
	for _, m := range s.Machines {
		if !m.Address.IsValid() {
			continue
		}
		some = true
		name := m.DHCPName()
		if d := rules.For(cat, rules.Facts{MAC: m.MAC, Addr: m.Address}); len(d.Unknown) == 0 && d.Hostname != "" {
			name = d.Hostname
		}
		mac, _ := net.ParseMAC(m.MAC)
		s.DHCP.Reservations = append(s.DHCP.Reservations, Reservation{mac, m.Address, name})
	}
	return some
}

// readMachine reads what concerns the machine alone.
func readMachine(e *mapping, names map[string]place, groups groupPlaces, all []catalog.Group) (machine Machine) {
	if t, ok := e.required("mac", "write the machine's MAC address: mac: 52:54:00:12:34:56"); ok {
		machine.MAC = readMAC(e.check, t)
	}
	if t := e.text("name", ""); t.value != "" && checkRuleName(e, t, names) {
		machine.Name = t.value
	}
	group := e.text("group", "")
	if _, known := groups[group.value]; !known && group.value != "" {
		do := "write it in groups, or remove it here"
		var known []string
		for _, g := range all {
			known = append(known, g.Name)
		}
		if near := nearest(group.value, known); near != "" {
			do = fmt.Sprintf("did you mean %s?", near)
		}
		e.check.problem(group.place, fmt.Sprintf("%sgroup: there is no group %q", e.path, group.value), do)
	}
	machine.Group = group.value
	notes := e.text("notes", "")
	if machine.Notes = strings.TrimSpace(notes.value); len(machine.Notes) > maxNotes {
		e.check.problem(notes.place, fmt.Sprintf("%snotes is %d bytes long", e.path, len(machine.Notes)), fmt.Sprintf("shorten it to at most %d", maxNotes))
	}
	return machine
}

// readMAC reads the MAC address of a machine; empty if it is none.
func readMAC(c *checker, t text) string {
	mac, err := net.ParseMAC(strings.TrimSpace(t.value))
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		c.problem(t.place, fmt.Sprintf("%q is no MAC address of a machine", t.value), "write it as 52:54:00:12:34:56")
		return ""
	}
	return mac.String()
}

// reserve reads the address, and reports what two machines have, here or in dhcp.reservations.
func (e *mapping) reserve(machine *Machine, hostname text, s *Site, listed, reserved taken) {
	c := e.check
	mac := text{e.place("mac"), machine.MAC}
	address := e.text("address", "")
	if address.value != "" {
		machine.Address = checkAddress(c, e.path+"address", address, s)
	}
	if hostname.value != "" && !catalog.IsHostname(hostname.value) {
		c.problem(hostname.place, fmt.Sprintf("%q is no host name", hostname.value), "write up to 63 letters, digits and hyphens")
		hostname.value = ""
	}
	machine.Hostname = hostname.value
	if machine.MAC == "" || !listed.unique(c, mac, "MAC address", machine.MAC, "listed") {
		return
	}
	if at, both := reserved["MAC address"+machine.MAC]; both {
		if machine.Address.IsValid() {
			c.problem(mac.place, fmt.Sprintf("%s is here and in dhcp.reservations, line %d", machine.MAC, at.line), "keep its address and host name here, and remove it there")
		}
		return
	}
	if machine.Address.IsValid() {
		reserved.unique(c, address, "address", machine.Address.String(), "reserved")
	}
	if name := machine.DHCPName(); name != "" {
		if !e.has("hostname") {
			hostname.place = e.place("name")
		}
		reserved.unique(c, hostname, "host name", strings.ToLower(name), "given")
	}
}

// DHCPName is the host name that DHCP gives to the machine, unless a pattern of its group does; empty: none.
func (m *Machine) DHCPName() string {
	if m.Hostname == "" && catalog.IsHostname(m.Name) {
		return m.Name
	}
	return m.Hostname
}

// checkAddress reports an address that can't be reserved.
func checkAddress(c *checker, key string, t text, s *Site) netip.Addr {
	a := parseIPv4(c, key, t)
	switch {
	case !a.IsValid():
	case a == s.DHCP.Router:
		c.problem(t.place, fmt.Sprintf("%s is the router's address", a), "reserve another one")
	case a == s.Serve.Address:
		c.problem(t.place, fmt.Sprintf("%s is this machine's address (serve.address)", a), "reserve another one")
	default:
		return a
	}
	return netip.Addr{}
}

// checkMembers reports groups that no machine can be in, and warns of those whose machines are in another one before. What it would say of
// a file that has other problems is not known.
func checkMembers(c *checker, s *Site, at groupPlaces) {
	if len(c.problems) > 0 {
		return
	}
	if r := s.Rules(); r.CheckSize() != nil {
		what, do, _ := strings.Cut(r.CheckSize().Error(), "; ")
		c.problem(startOf(filepath.Join(c.dir, ConfigFile)), what, do)
	}
	for i, g := range s.Groups {
		named := slices.ContainsFunc(s.Machines, func(m Machine) bool { return m.Group == g.Name })
		if g.Name == catalog.GroupAll || named {
			continue
		}
		if g.Match.IsZero() {
			c.problem(at[g.Name], fmt.Sprintf("no machine is in the group %s: it has no match, and no entry of machines names it", g.Name),
				fmt.Sprintf("write what its machines have in common with match:, or group: %s in machines", g.Name))
			continue
		}
		for _, before := range s.Groups[:i] {
			if before.Name != catalog.GroupAll && covers(before.Match, g.Match) {
				c.warning(at[g.Name], fmt.Sprintf("every machine that the group %s matches is in the group %s before it (line %d)", g.Name, before.Name, at[before.Name].line),
					"put the narrower one first")
				break
			}
		}
	}
}

// covers reports whether every machine that b matches is one that a matches too, as far as can be told from their texts.
func covers(a, b catalog.Match) bool {
	if a.IsZero() {
		return false
	}
	part := func(a, b []string) bool {
		return len(a) == 0 || len(b) > 0 && !slices.ContainsFunc(b, func(s string) bool { return !slices.ContainsFunc(a, func(p string) bool { return globCovers(p, s) }) })
	}
	subnets := len(a.Subnet) == 0 || len(b.Subnet) > 0 && !slices.ContainsFunc(b.Subnet, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(a.Subnet, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) })
	})
	return part(a.MAC, b.MAC) && part(a.UUID, b.UUID) && part(a.Serial, b.Serial) && part(a.Vendor, b.Vendor) && part(a.Model, b.Model) &&
		subnets && part(a.Arch, b.Arch) && (a.Firmware == "" || a.Firmware == b.Firmware) &&
		(a.SecureBoot == nil || b.SecureBoot != nil && *a.SecureBoot == *b.SecureBoot) && memoryCovers(a.Memory, b.Memory)
}

// globCovers reports whether a glob matches all that another one, or a MAC address, does: it is the same, or that is plain, or both begin
// alike and the first has a star there.
func globCovers(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == b {
		return true
	}
	if !strings.ContainsAny(b, `*?[\`) {
		ok, _ := path.Match(a, b)
		return ok || catalog.MatchMAC(a, b)
	}
	start, isPrefix := strings.CutSuffix(a, "*")
	return isPrefix && !strings.ContainsAny(start, `*?[\`) && strings.HasPrefix(b, start)
}

// memoryCovers reports whether a bound holds wherever another one does.
func memoryCovers(a, b *catalog.MemoryBound) bool {
	switch {
	case a == nil:
		return true
	case b == nil || a.Op[0] != b.Op[0]:
		return false
	case a.Bytes == b.Bytes:
		return len(a.Op) >= len(b.Op)
	case a.Op[0] == '>':
		return a.Bytes < b.Bytes
	}
	return a.Bytes > b.Bytes
}

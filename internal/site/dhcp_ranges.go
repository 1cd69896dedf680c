package site

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/goccy/go-yaml/ast"
)

// Range is what machines in the network of one interface are given.
type Range struct {
	// First and Last bound the addresses, both included.
	First, Last netip.Addr
	// Netmask is the number of ones in the netmask; 0: as many as the interface's has.
	Netmask int
	// Router is the default gateway; zero: none.
	Router netip.Addr
	DNS    []netip.Addr
}

// Split returns one configuration for each range: the same but for what the range says, and without More. Without a range
// there is one configuration.
func (d DHCP) Split() []DHCP {
	more := d.More
	d.More = nil
	all := []DHCP{d}
	for _, r := range more {
		one := d
		one.First, one.Last, one.Netmask, one.Router, one.DNS = r.First, r.Last, r.Netmask, r.Router, r.DNS
		all = append(all, one)
	}
	return all
}

// readRanges reads dhcp.range: one range, or a list of them, one for each interface. What an entry of a list leaves out is
// what the section says.
func readRanges(m *mapping, d *DHCP, own netip.Addr) {
	if _, isList := m.values["range"].(*ast.SequenceNode); !isList {
		span := m.mapping("range")
		d.First, d.Last = span.ipv4("first"), span.ipv4("last")
		span.done()
		checkRange(span, d, own)
		return
	}
	section := Range{Netmask: d.Netmask, Router: d.Router, DNS: d.DNS}
	var seen []Range
	for i, span := range m.mappings("range") {
		r := span.oneRange(section)
		one := *d
		one.First, one.Last, one.Netmask, one.Router = r.First, r.Last, r.Netmask, r.Router
		checkRange(span, &one, own)
		for _, other := range seen {
			if r.First.IsValid() && other.First.IsValid() && !r.Last.Less(other.First) && !other.Last.Less(r.First) {
				m.check.problem(span.place("first"), fmt.Sprintf("the range %s to %s overlaps with the one from %s to %s",
					r.First, r.Last, other.First, other.Last), "keep them apart: one range for each interface")
			}
		}
		seen = append(seen, r)
		if i == 0 {
			d.First, d.Last, d.Netmask, d.Router, d.DNS = r.First, r.Last, r.Netmask, r.Router, r.DNS
			continue
		}
		d.More = append(d.More, r)
	}
	if len(seen) == 0 {
		checkRange(newMapping(m.check, "dhcp.range.", m.place("range"), nil), d, own)
	}
	if len(seen) > 1 && m.has("router") && section.Router.IsValid() {
		m.check.problem(m.place("router"), "dhcp.router can't be the router of several networks", "write it in the entry of its range: {first: …, last: …, router: …}")
	}
}

// oneRange reads an entry of a list of ranges.
func (m *mapping) oneRange(section Range) Range {
	r := section
	r.First, r.Last = m.ipv4("first"), m.ipv4("last")
	if mask := m.ipv4("netmask"); mask.IsValid() {
		r.Netmask = netmaskBits(m, mask)
	}
	if router := m.ipv4("router"); router.IsValid() {
		r.Router = router
	}
	if m.has("dns") {
		r.DNS = m.nameServers()
	} else {
		m.value("dns") // it is a known key
	}
	m.done()
	return r
}

// netmaskBits is the number of ones in a netmask, and 0 after it was reported as a problem.
func netmaskBits(m *mapping, mask netip.Addr) int {
	bits, size := net.IPMask(mask.AsSlice()).Size()
	if size == 0 || bits == 0 {
		m.check.problem(m.place("netmask"), fmt.Sprintf("%s is no netmask", mask), "write one like 255.255.255.0, or leave it out: the interface's counts")
	}
	return bits
}

// nameServers reads the addresses of name servers.
func (m *mapping) nameServers() []netip.Addr {
	var servers []netip.Addr
	for i, t := range m.texts("dns") {
		if a := parseIPv4(m.check, fmt.Sprintf("%sdns[%d]", m.path, i), t); a.IsValid() {
			servers = append(servers, a)
		}
	}
	return servers
}

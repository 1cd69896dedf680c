package site

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// readMatch reads what machines must be to belong to the group of that name.
func readMatch(g *mapping, group text, images []arch.Arch) (match catalog.Match) {
	m := g.mapping("match")
	defer m.done()
	if group.value == catalog.GroupAll && g.has("match") {
		g.check.problem(g.place("match"), "the group all takes every machine that is in no other", "remove match, or give the group another name")
	}
	match.MAC = m.patterns("mac", macPattern)
	for key, list := range map[string]*[]string{"uuid": &match.UUID, "serial": &match.Serial, "vendor": &match.Vendor, "model": &match.Model} {
		*list = m.patterns(key, func(s string) (string, error) { return s, catalog.CheckGlob(s) })
	}
	match.Subnet = m.subnets("subnet")
	for i, t := range m.oneOrMore("arch") {
		switch {
		case !slices.Contains(arches, t.value):
			m.check.problem(t.place, fmt.Sprintf("%sarch[%d] is %q", m.path, i, t.value), "write one of: "+strings.Join(arches, ", "))
		case !slices.ContainsFunc(images, func(a arch.Arch) bool { return string(a) == t.value }):
			m.check.warning(t.place, fmt.Sprintf("%sarch is %s, and the site has no image for such machines", m.path, t.value), "add it to arch at the beginning of a line: arch: [amd64, arm64]")
			fallthrough
		default:
			match.Arch = append(match.Arch, t.value)
		}
	}
	if m.value("firmware"); m.has("firmware") {
		match.Firmware = m.oneOf("firmware", "", catalog.FirmwareBIOS, catalog.FirmwareUEFI)
	}
	match.Memory = m.memoryBound("memory")
	if on := m.boolean("secure_boot", false); m.has("secure_boot") {
		match.SecureBoot = &on
	}
	m.checkPossible(match)
	return match
}

// checkPossible reports conditions that no machine meets.
func (m *mapping) checkPossible(match catalog.Match) {
	if match.Firmware != catalog.FirmwareBIOS {
		return
	}
	if match.SecureBoot != nil && *match.SecureBoot {
		m.check.problem(m.place("secure_boot"), m.path+"secure_boot is true and firmware is bios, which has none, so no machine is in the group", "remove one of the two")
	}
	if len(match.Arch) > 0 && !slices.Contains(match.Arch, "amd64") {
		m.check.problem(m.place("firmware"), fmt.Sprintf("%sfirmware is bios, which no machine with arch %s has, so no machine is in the group", m.path, strings.Join(match.Arch, ", ")),
			"remove one of the two")
	}
}

// patterns reads a text or a list of texts, each of which normal brings into the form of the catalog.
func (m *mapping) patterns(key string, normal func(string) (string, error)) (patterns []string) {
	list := m.oneOrMore(key)
	m.checkNotEmpty(key)
	for i, t := range list {
		p, err := normal(strings.TrimSpace(t.value))
		if err == nil && slices.Contains(patterns, p) {
			err = fmt.Errorf("%s is listed twice; remove one", p)
		}
		if err != nil {
			what, do, _ := strings.Cut(err.Error(), "; ")
			m.check.problem(t.place, fmt.Sprintf("%s%s[%d]: %s", m.path, key, i, what), do)
			continue
		}
		patterns = append(patterns, p)
	}
	return patterns
}

// checkNotEmpty reports a list with nothing in it, which no machine is like.
func (m *mapping) checkNotEmpty(key string) {
	if m.isEmptyList(key) {
		m.check.problem(m.place(key), m.path+key+" is an empty list, so no machine is in the group", "write what machines must have, or remove the key")
	}
}

// macPattern brings a MAC address, a glob or a range into the form of the catalog: lower case, with colons, no spaces.
func macPattern(s string) (string, error) {
	if mac, err := net.ParseMAC(s); err == nil && len(mac) == 6 {
		return mac.String(), nil
	}
	for i, r := range s {
		if r != '-' {
			continue
		}
		first, err1 := net.ParseMAC(strings.TrimSpace(s[:i]))
		last, err2 := net.ParseMAC(strings.TrimSpace(s[i+1:]))
		if err1 == nil && err2 == nil {
			s = first.String() + "-" + last.String()
			break
		}
	}
	s = strings.ToLower(s)
	return s, catalog.CheckMACPattern(s)
}

// subnets reads IPv4 subnets, or single addresses.
func (m *mapping) subnets(key string) (subnets []netip.Prefix) {
	list := m.oneOrMore(key)
	m.checkNotEmpty(key)
	for i, t := range list {
		if p, ok := m.subnet(fmt.Sprintf("%s%s[%d]", m.path, key, i), t); ok && slices.Contains(subnets, p) {
			m.check.problem(t.place, fmt.Sprintf("%s%s[%d]: %s is listed twice", m.path, key, i, p), "remove one")
		} else if ok {
			subnets = append(subnets, p)
		}
	}
	return subnets
}

// subnet parses an IPv4 subnet; key is for messages.
func (m *mapping) subnet(key string, t text) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(t.value)
	switch {
	case err != nil || !p.Addr().Is4():
		m.check.problem(t.place, fmt.Sprintf("%s: %q is no IPv4 subnet", key, t.value), "write it as 10.1.0.0/24")
	case p != p.Masked():
		m.check.problem(t.place, fmt.Sprintf("%s: %s is an address in a subnet", key, p), fmt.Sprintf("write the subnet: %s", p.Masked()))
	default:
		return p, true
	}
	return p, false
}

var memoryForm = regexp.MustCompile(`^(>=|>|<=|<) *(.+)$`)

// memoryBound reads a comparison with a size, ">= 8 GiB"; nil if the key is absent or wrong.
func (m *mapping) memoryBound(key string) *catalog.MemoryBound {
	const do = `write a comparison with a size, such as ">= 8 GiB" or "< 4 GiB", in quotes`
	n := m.value(key)
	if n == nil {
		return nil
	}
	if kind(n) != "text" {
		m.wrongType(n, key, "a comparison with a size", do)
		return nil
	}
	t, ok := m.textOf(key, n)
	if !ok {
		return nil
	}
	parts := memoryForm.FindStringSubmatch(strings.TrimSpace(t.value))
	if parts == nil {
		m.check.problem(t.place, fmt.Sprintf("%s%s: %q is no comparison with a size", m.path, key, t.value), do)
		return nil
	}
	bytes, ok := parseQuantity(parts[2], sizeUnits)
	bound := &catalog.MemoryBound{Op: parts[1], Bytes: bytes}
	switch {
	case !ok || bytes > catalog.MaxSize:
		m.check.problem(t.place, fmt.Sprintf("%s%s: %q is no size of memory", m.path, key, parts[2]), do)
	case bound.Op[0] == '<' && bytes <= 1<<20:
		m.check.problem(t.place, fmt.Sprintf("%s%s: no machine has %s", m.path, key, t.value), do)
	default:
		return bound
	}
	return nil
}

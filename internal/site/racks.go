package site

import (
	"fmt"
	"net/netip"
	"slices"
)

// readRacks reads the subnets whose machines share an uplink.
func readRacks(m *mapping) []netip.Prefix {
	var racks []netip.Prefix
	for i, t := range m.texts("racks") {
		bad := func(what, do string) { m.check.problem(t.place, fmt.Sprintf("racks[%d]: %s", i, what), do) }
		p, err := netip.ParsePrefix(t.value)
		switch {
		case err != nil || !p.Addr().Is4():
			bad(fmt.Sprintf("%q is no IPv4 subnet", t.value), "write it as 10.1.0.0/24")
		case p != p.Masked():
			bad(fmt.Sprintf("%s is an address in a subnet", p), fmt.Sprintf("write the subnet: %s", p.Masked()))
		case slices.Contains(racks, p):
			bad(fmt.Sprintf("%s is listed twice", p), "remove one")
		default:
			racks = append(racks, p)
		}
	}
	return racks
}

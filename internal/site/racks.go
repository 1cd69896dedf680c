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
		key := fmt.Sprintf("racks[%d]", i)
		p, ok := m.subnet(key, t)
		switch {
		case !ok:
		case slices.Contains(racks, p):
			m.check.problem(t.place, fmt.Sprintf("%s: %s is listed twice", key, p), "remove one")
		default:
			racks = append(racks, p)
		}
	}
	return racks
}

package site

import (
	"fmt"
	"slices"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// readArches reads which architectures the machines of a site have. Without the key it is amd64, whatever the seeder's machine is: as with arch in a
// system's configuration, what a site is must not depend on where it is read.
func readArches(m *mapping) []arch.Arch {
	var arches []arch.Arch
	for _, t := range m.oneOrMore("arch") {
		a, err := arch.Parse(t.value)
		switch {
		case err != nil:
			m.check.problem(t.place, fmt.Sprintf("arch: there is no architecture %q", t.value), "write amd64, arm64, or both: [amd64, arm64]")
		case slices.Contains(arches, a):
			m.check.problem(t.place, fmt.Sprintf("arch: %s is listed twice", a), "remove one")
		default:
			arches = append(arches, a)
		}
	}
	if len(arches) == 0 {
		return []arch.Arch{arch.AMD64}
	}
	return arches
}

package catalog

import (
	"slices"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// phase1Name is the name of the runtime for machines of amd64; see [Phase1Name]. No system's begins with a dot.
const phase1Name = ".phase1"

// Phase1Name is the name of the runtime that has the image for machines of an architecture: its files are image.Kernel and
// image.Initramfs. Nodes fetch it to give it away to machines that start, at [BootPath] of each file, as the seeder does.
func Phase1Name(a arch.Arch) string {
	if a == arch.ARM64 {
		return phase1Name + "-arm64"
	}
	return phase1Name
}

// IsPhase1 reports whether a runtime of that name is an image.
func IsPhase1(name string) bool {
	return slices.ContainsFunc(arch.All, func(a arch.Arch) bool { return Phase1Name(a) == name })
}

// Package diskmodules is the form of the runtime with which a node reads its machine's own disk (method local): the drivers of disk
// controllers, file systems, and efivarfs for the firmware's variables, all of phase 1's kernel. Phase 1 has none of them.
//
// mkimage packs it beside the image, the seeder publishes it as it is, and a node unpacks it when it needs it. It is a tar file
// (POSIX.1-2001) compressed with zstd (RFC 8878), with regular files below lib/modules/RELEASE: the modules and the indexes that
// package modarchive names.
package diskmodules

import (
	"slices"

	"github.com/boottorrent/boottorrent/internal/arch"
)

const (
	// name is the runtime's in the catalog for machines of amd64; see [For]. No system's begins with a dot.
	name = ".disks"
	// Archive is its only file, and that in the image's folder.
	Archive = "disks.tar.zst"
	// MaxUnpacked is the most that an archive may have in it, in bytes. Of kernel 6.1.0-56 of Debian 12 they have 22.4 MiB.
	MaxUnpacked = 128 << 20
)

// FileSystems are those that are looked for on disks, by the kernel's names.
var FileSystems = []string{"ext4", "xfs", "btrfs", "vfat"}

// For is the name of the runtime for machines of an architecture.
func For(a arch.Arch) string {
	if a == arch.ARM64 {
		return name + "-arm64"
	}
	return name
}

// Is reports whether a name in the catalog is that of such a runtime.
func Is(name string) bool {
	return slices.ContainsFunc(arch.All, func(a arch.Arch) bool { return For(a) == name })
}

// Package qemuruntime is the form of the runtime that brings QEMU to a node: one archive, packed by the seeder from the
// QEMU installed on its machine and from the kernel modules that mkimage put aside, unpacked and run by the node.
//
// The archive is a tar file (POSIX.1-2001) compressed with zstd (RFC 8878). Everything in it is a regular file with a
// relative, clean path; programs have the mode 0755.
package qemuruntime

import (
	"slices"

	"github.com/boottorrent/boottorrent/internal/arch"
)

const (
	// Name is the runtime's name in the catalog, for guests that are PCs; see [For]. No system's begins with a dot.
	Name = ".qemu"
	// Archive is its only file.
	Archive = "qemu.tar.zst"
)

// Paths in the archive.
const (
	// Loader is the dynamic linker, whatever its name was. It starts [Binary] with --library-path Libraries, so that nothing depends
	// on where the archive is unpacked.
	Loader = "lib/ld.so"
	// Libraries is the folder of all shared libraries that the program and Plugins need.
	Libraries = "lib"
	// Plugins is the folder of QEMU's own modules (ui-*.so, accel-*.so …), for QEMU_MODULE_DIR.
	Plugins = "qemu"
	// Share is the folder of firmware and keymaps, for QEMU's -L.
	Share = "share"
	// Modules is the folder of kernel modules: below it a folder for the kernel's release (uname -r), in which Order names the
	// module files in the order in which they are to be loaded, one a line. Loading one may fail, as kvm_intel does on a
	// processor by AMD.
	Modules = "modules"
	Order   = "order"
)

// ARM64Firmware is the file in Share with the UEFI firmware of arm64 guests, under the name that QEMU itself ships it by.
const ARM64Firmware = "edk2-aarch64-code.fd"

// For is the name of the runtime whose QEMU runs guests of an architecture.
func For(guest arch.Arch) string {
	if guest == arch.ARM64 {
		return Name + "-arm64"
	}
	return Name
}

// Is reports whether a name in the catalog is a runtime's.
func Is(name string) bool {
	return slices.ContainsFunc(arch.All, func(a arch.Arch) bool { return For(a) == name })
}

// Program is QEMU's for guests of an architecture.
func Program(guest arch.Arch) string {
	if guest == arch.ARM64 {
		return "qemu-system-aarch64"
	}
	return "qemu-system-x86_64"
}

// Binary is the program's path in the archive.
func Binary(guest arch.Arch) string { return "bin/" + Program(guest) }

// ImageModules is the file in the site's image folder in which mkimage puts the kernel modules for the runtime, because they
// must be of the image's kernel: an uncompressed tar file with the paths below Modules.
const ImageModules = "runtime-modules.tar"

// KernelModules are the modules that a runtime has if the kernel has them: KVM, and what the viewer of the guest's screen
// reads keyboard and mouse with.
var KernelModules = []string{"kvm", "kvm_intel", "kvm_amd", "evdev", "psmouse"}

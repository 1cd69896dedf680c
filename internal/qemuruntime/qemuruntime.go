// Package qemuruntime is the form of the runtime that brings QEMU to a node: one archive, packed by the seeder from the
// QEMU installed on its machine and from the kernel modules that mkimage put aside, unpacked and run by the node.
//
// The archive is a tar file (POSIX.1-2001) compressed with zstd (RFC 8878). Everything in it is a regular file with a
// relative, clean path; programs have the mode 0755.
package qemuruntime

const (
	// Name is the runtime's name in the catalog. No system's begins with a dot.
	Name = ".qemu"
	// Archive is its only file.
	Archive = "qemu.tar.zst"
)

// Paths in the archive.
const (
	// Binary is qemu-system-x86_64. It is started by Loader with --library-path Libraries, so that nothing depends on
	// where the archive is unpacked.
	Binary = "bin/qemu-system-x86_64"
	// Loader is the dynamic linker, whatever its name was.
	Loader = "lib/ld.so"
	// Libraries is the folder of all shared libraries that Binary and Plugins need.
	Libraries = "lib"
	// Plugins is the folder of QEMU's own modules (ui-*.so, accel-*.so …), for QEMU_MODULE_DIR.
	Plugins = "qemu"
	// Share is the folder of firmware and keymaps, for qemu-system-x86_64 -L.
	Share = "share"
	// Modules is the folder of kernel modules: below it a folder for the kernel's release (uname -r), in which Order names the
	// module files in the order in which they are to be loaded, one a line. Loading one may fail, as kvm_intel does on a
	// processor by AMD.
	Modules = "modules"
	Order   = "order"
)

// ImageModules is the file in the site's image folder in which mkimage puts the kernel modules for the runtime, because they
// must be of the image's kernel: an uncompressed tar file with the paths below Modules.
const ImageModules = "runtime-modules.tar"

// KernelModules are the modules that a runtime has if the kernel has them: KVM, and what the viewer of the guest's screen
// reads keyboard and mouse with.
var KernelModules = []string{"kvm", "kvm_intel", "kvm_amd", "evdev", "psmouse"}

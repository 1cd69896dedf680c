// Package image is what seeder and mkimage agree on about phase 1: what its files are called, and what its kernel is told
// however it is started. mkimage makes the files, the seeder serves them, and four programs pass the command line on:
// iPXE, GRUB, systemd-stub and kexec.
package image

import "github.com/boottorrent/boottorrent/internal/arch"

// Names of the files of an image, in its [Folder].
const (
	Kernel    = "vmlinuz"
	Initramfs = "initramfs.img"
	// UKI is kernel, initramfs and command line in one UEFI program.
	UKI = "boottorrent.efi"
	// HTTPDisk is the image of a disk with shim, GRUB, kernel and initramfs. UEFI HTTP boot makes a RAM disk of it, so that machines with
	// Secure Boot on start by HTTP with nothing enrolled.
	HTTPDisk = "httpboot.img"
	// Manifest says what the others are made of.
	Manifest = "manifest.json"
)

// Names of kernel and initramfs on media that start by shim and GRUB. On others both are in the UEFI program.
const (
	MediumKernel    = "boot/vmlinuz"
	MediumInitramfs = "boot/initramfs.img"
)

// LoadersFolder is the folder, in the [Folder] of an image, of the boot loaders that mkimage puts there: those of another
// architecture than the seeder's, and those that were signed with the site's own key.
const LoadersFolder = "loaders"

// Folder is where the image for an architecture is, below the site's image folder: there itself for amd64, a folder named
// by the architecture for others. The path has slashes, and is empty for amd64.
func Folder(a arch.Arch) string {
	if a == arch.AMD64 || a == "" {
		return ""
	}
	return string(a)
}

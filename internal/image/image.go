// Package image is what seeder and mkimage agree on about phase 1: what its files are called, and what its kernel is told
// however it is started. mkimage makes the files, the seeder serves them, and four programs pass the command line on:
// iPXE, GRUB, systemd-stub and kexec.
package image

// Names of the files in a site's image folder.
const (
	Kernel    = "vmlinuz"
	Initramfs = "initramfs.img"
	// UKI is kernel, initramfs and command line in one UEFI program.
	UKI = "boottorrent.efi"
	// Manifest says what the others are made of.
	Manifest = "manifest.json"
)

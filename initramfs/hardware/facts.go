package hardware

// Facts are what a machine knows of itself before it has a network.
type Facts struct {
	// UUID is SMBIOS's system UUID in lower case; empty if the firmware gives none.
	UUID string
	// Vendor and Product are SMBIOS's names of the machine.
	Vendor, Product string
	// MemoryMiB is MemTotal of /proc/meminfo.
	MemoryMiB int64
	// Arch is the GOARCH of the running binary.
	Arch string
	CPUs int
	// EFI is whether the machine was started by UEFI firmware.
	EFI bool
}

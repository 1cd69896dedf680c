package hardware

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Facts are what a machine knows of itself before it has a network.
type Facts struct {
	// UUID is SMBIOS's system UUID in lower case; empty if the firmware gives none.
	UUID string
	// Vendor and Product are SMBIOS's names of the machine; where there is none, Product is the device tree's, as "Raspberry Pi 5 Model B".
	Vendor, Product string
	// Serial is the machine's serial number by SMBIOS, or by the device tree; empty if there is none.
	Serial string
	// MemoryMiB is MemTotal of /proc/meminfo: what programs can use.
	MemoryMiB int64
	// Installed is the machine's memory as it was sold.
	Installed Memory
	// Arch is the GOARCH of the running binary.
	Arch string
	CPUs int
	// EFI is whether the machine was started by UEFI firmware.
	EFI bool
}

// Name is vendor and product, as far as they are known.
func (f Facts) Name() string { return strings.TrimSpace(f.Vendor + " " + f.Product) }

// Memory says how much memory there is, where the number comes from, and how much of it programs can use.
func (f Facts) Memory() string {
	return fmt.Sprintf("%d MiB of memory (%s; %d MiB can be used)", f.Installed.Bytes>>20, f.Installed.From, f.MemoryMiB)
}

// Firmware is catalog.FirmwareUEFI or FirmwareBIOS; empty where it is neither, as on a machine that brings a device tree.
func (f Facts) Firmware() string {
	switch {
	case f.EFI:
		return catalog.FirmwareUEFI
	case f.Arch == string(arch.ARM64):
		return ""
	}
	return catalog.FirmwareBIOS
}

// String describes the machine in one line, for its log.
func (f Facts) String() string {
	firmware := cmp.Or(strings.ToUpper(f.Firmware()), "device tree")
	name := f.Name()
	if name == "" {
		name = "a machine without a name"
	}
	return fmt.Sprintf("%s, %d CPU(s), %s, %s, %s", name, f.CPUs, f.Memory(), firmware, f.Arch)
}

// ReadFacts reads what the machine says of itself; what it doesn't say stays zero.
func ReadFacts() Facts { return running.facts() }

func (t tree) facts() Facts {
	_, err := os.Stat(t.path("sys/firmware/efi"))
	return Facts{
		UUID:      t.uuid(),
		Vendor:    t.dmi("sys_vendor"),
		Product:   cmp.Or(t.dmi("product_name"), t.line("proc/device-tree/model")),
		Serial:    t.serial(),
		MemoryMiB: t.memoryMiB(),
		Installed: t.memory(),
		Arch:      runtime.GOARCH,
		CPUs:      runtime.NumCPU(),
		EFI:       err == nil,
	}
}

func (t tree) dmi(name string) string { return t.line("sys/class/dmi/id", name) }

// uuid leaves out what firmware writes when it has no UUID: all zeroes or all ones (SMBIOS 3.7, 7.2.1).
func (t tree) uuid() string {
	u := strings.ToLower(t.dmi("product_uuid"))
	if strings.Trim(u, "0-") == "" || strings.Trim(u, "f-") == "" {
		return ""
	}
	return u
}

// noSerial are what firmware writes where its maker has forgotten to set a serial number, in lower case.
var noSerial = []string{"", "none", "default string", "to be filled by o.e.m.", "system serial number", "not specified", "not applicable", "not available",
	"unknown", "n/a", "na", "o.e.m.", "chassis serial number", "0123456789", "123456789", "1234567890"}

// serial leaves out what is no number: the same on all machines of a maker.
func (t tree) serial() string {
	s := cmp.Or(t.dmi("product_serial"), t.line("proc/device-tree/serial-number"))
	if lower := strings.ToLower(strings.TrimSpace(s)); slices.Contains(noSerial, lower) || strings.Trim(lower, "0.-x ") == "" {
		return ""
	}
	return s
}

// memoryMiB reads "MemTotal:       16301252 kB" (proc(5)); the kernel's kB are KiB.
func (t tree) memoryMiB() int64 {
	b, err := os.ReadFile(t.path("proc/meminfo"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib / 1024
		}
	}
	return 0
}

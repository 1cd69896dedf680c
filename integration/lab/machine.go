package lab

import (
	"fmt"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// machine is what QEMU is told of a kind of machine.
type machine struct {
	// program is QEMU's.
	program string
	// model and cpu are values of -machine and -cpu, screen the arguments for a screen with a keyboard.
	model, cpu string
	screen     []string
	// flash are the places where each firmware is looked for that is in a flash memory: the code, and the variables that a machine
	// starts with; pkg is Debian's package with all of them. secure is added for firmware with Secure Boot.
	flash  map[Firmware][][2]string
	pkg    string
	secure []string
}

// pc is a PC of 2009 with all that came later.
var pc = machine{
	program: "qemu-system-x86_64",
	model:   "q35",
	// Without AMD's virtualization: while an emulated one runs a guest, QEMU's monitor may not answer for a minute.
	cpu:    "max,svm=off",
	screen: []string{"-vga", "std"},
	flash: map[Firmware][][2]string{
		UEFI: {
			{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
			{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
		},
		SecureUEFI: {{"/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"}},
	},
	pkg: "ovmf",
	// This build of OVMF has no sleep in memory: on waking up, whatever runs could write to the memory of system management mode.
	secure: []string{"-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"},
}

// server is an arm64 machine as servers are: UEFI, ACPI, and an interrupt controller (GIC version 3) with tables in memory that a
// kernel hands on to the next.
var server = machine{
	program: "qemu-system-aarch64",
	model:   "virt,gic-version=3",
	// QEMU's own algorithm of pointer authentication: the architected one takes half of the time under TCG.
	cpu: "max,pauth-impdef=on",
	// A frame buffer in memory, which the kernel takes over from the firmware.
	screen: []string{"-device", "ramfb", "-device", "qemu-xhci,id=keys", "-device", "usb-kbd,bus=keys.0"},
	flash: map[Firmware][][2]string{
		UEFI:       {{"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"}},
		SecureUEFI: {{"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.ms.fd"}},
	},
	pkg: "qemu-efi-aarch64",
}

// machine is the kind of the node's machine.
func (c NodeConfig) machine() machine {
	if c.Arch == arch.ARM64 {
		return server
	}
	return pc
}

// modelArgument is the value of -machine.
func (c NodeConfig) modelArgument() string {
	model := c.machine().model
	switch {
	case c.Arch == arch.ARM64:
	case c.Firmware == BIOS:
		// Without "graphics" SeaBIOS puts its screen on the serial line, too, and takes keys from there.
		model += ",graphics=off"
	case c.Firmware == SecureUEFI:
		// Only firmware in system management mode may write the variables, or whatever runs could switch Secure Boot off.
		model += ",smm=on"
	}
	return model
}

// accelerator is the value of -accel for the node, in a room whose PCs have this one. Other machines are always emulated.
func (c NodeConfig) accelerator(room string) string {
	if c.Arch == arch.AMD64 {
		return room
	}
	return tcg
}

// completeArch fills in what an architecture makes of the zero values.
func (c NodeConfig) completeArch() (NodeConfig, error) {
	if c.Arch == "" {
		c.Arch = arch.AMD64
	}
	if _, err := arch.Parse(string(c.Arch)); err != nil {
		return c, err
	}
	if c.Arch == arch.ARM64 && c.Firmware == BIOS && c.Kernel == "" {
		c.Firmware = UEFI
	}
	for _, d := range c.Disks {
		if d.CD && c.Arch == arch.ARM64 {
			return c, fmt.Errorf("%s: an arm64 machine has no drive for discs", d.Path)
		}
	}
	return c, nil
}

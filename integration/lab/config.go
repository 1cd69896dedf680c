package lab

import (
	"fmt"
	"net"
	"slices"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// Firmware is what a node starts with.
type Firmware int

// The firmwares.
const (
	// BIOS is SeaBIOS.
	BIOS Firmware = iota
	// UEFI is OVMF (AAVMF on arm64) without Secure Boot, with variables of its own.
	UEFI
	// SecureUEFI is the same with Secure Boot on: with Microsoft's keys, as PCs are sold, or those in NodeConfig.Variables.
	SecureUEFI
)

// isUEFI says whether the firmware is of the UEFI kind.
func (f Firmware) isUEFI() bool { return f != BIOS }

// NodeConfig describes a machine. The zero value but for Name is a machine with 1024 MiB, one virtio network card, a
// serial line and a screen, which boots from the network by BIOS.
type NodeConfig struct {
	// Name is unique in the room: a-z, 0-9 and -.
	Name string
	// Arch is amd64 if empty. An arm64 machine has UEFI, unless it starts Kernel; that gets a device tree then.
	Arch arch.Arch
	// MemoryMiB is 1024, and CPUs is 1, if zero.
	MemoryMiB, CPUs int
	// NICs is one of the default kind if nil; an empty slice is none.
	NICs     []NIC
	Firmware Firmware
	// Variables is the file with the variables that UEFI firmware starts with, keys included; those that come with it if
	// empty. The node changes a copy.
	Variables string
	// Kernel, if set, is a file that is started directly (the firmware still runs), with Initrd and Cmdline. Otherwise
	// the firmware boots from the disks, in order, and then from the network cards, in order.
	Kernel, Initrd, Cmdline string
	Disks                   []Disk
	// NoSerial and NoDisplay leave out the serial line and the screen.
	NoSerial, NoDisplay bool
	// UUID is the SMBIOS UUID; one made of the node's number if empty.
	UUID string
	// NoReboot makes the machine end where it would reboot; see [Node.Shutdown].
	NoReboot bool
	// Args are more arguments for QEMU.
	Args []string
}

// NIC is a network card and its cable.
type NIC struct {
	// Model is QEMU's name of the card: virtio-net-pci if empty; e1000, e1000e, rtl8139, vmxnet3 ….
	Model string
	// MAC is 52:54:00:00:NODE:CARD, both counted from 1, if empty.
	MAC string
	// Cable is its speed.
	Cable Cable
	// Unplugged starts the node with the cable pulled; [Node.SetLink] plugs it in.
	Unplugged bool
	// ROM is the option ROM: a file, or "none". If empty it is QEMU's own, which is iPXE; but none for virtio under
	// UEFI, because OVMF has a driver of its own, as firmware of real machines has.
	ROM string
}

// Disk is a disk of a node, a raw image.
type Disk struct {
	Path string
	// USB makes it a USB stick instead of a virtio disk, CD a disc in a drive. Own makes it the machine's own disk, at its SATA controller,
	// from which the firmware boots when it is told to, or when it can't boot from the network.
	USB, CD, Own bool
	// Writable lets the node change the file. Otherwise what it writes is forgotten when it ends.
	Writable bool
}

// complete fills in defaults for the node of that number, counted from 1, and reports what can't be.
func (c NodeConfig) complete(number int) (NodeConfig, error) {
	if c.MemoryMiB == 0 {
		c.MemoryMiB = 1024
	}
	if c.CPUs == 0 {
		c.CPUs = 1
	}
	if c.UUID == "" {
		c.UUID = fmt.Sprintf("b007b007-0000-4000-8000-%012x", number)
	}
	if c.NICs == nil {
		c.NICs = []NIC{{}}
	}
	c, err := c.completeArch()
	if err != nil {
		return c, err
	}
	c.NICs = slices.Clone(c.NICs)
	for i := range c.NICs {
		n := &c.NICs[i]
		if n.Model == "" {
			n.Model = "virtio-net-pci"
		}
		if n.MAC == "" {
			n.MAC = fmt.Sprintf("52:54:00:00:%02x:%02x", number&0xff, i+1)
		}
		mac, err := net.ParseMAC(n.MAC)
		if err != nil {
			return c, err
		}
		n.MAC = mac.String()
		if n.ROM == "" && c.Firmware.isUEFI() && n.Model == "virtio-net-pci" {
			n.ROM = "none"
		}
	}
	if c.Kernel == "" && (c.Initrd != "" || c.Cmdline != "") {
		return c, fmt.Errorf("initrd or command line without a kernel")
	}
	if c.Variables != "" && !c.Firmware.isUEFI() {
		return c, fmt.Errorf("variables for a firmware that has none")
	}
	return c, nil
}

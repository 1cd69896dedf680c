package qemu

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// kind is what QEMU needs for guests of an architecture.
type kind struct {
	// install is what to do where QEMU is missing.
	install string
	// plugins are QEMU's own modules that a node has a use for: the translator without KVM, the graphics cards of today's
	// guests, and USB devices of the node. Others are for other displays, sound, and storage that a node doesn't have.
	plugins []string
	// firmware is what a guest's machine may ask for, by name or pattern.
	firmware []string
	// boots adds or looks for the firmware without which no guest starts; dirs are those in which QEMU looks for firmware.
	boots func(i *Installation, dirs []string) error
}

var kinds = map[arch.Arch]kind{
	arch.AMD64: {
		install: "apt-get install qemu-system-x86",
		plugins: []string{"accel-tcg-x86_64", "hw-display-virtio-gpu", "hw-display-virtio-gpu-pci", "hw-display-virtio-vga", "hw-usb-host"},
		// BIOSes, the programs of graphics cards and of direct kernel boot, the option ROMs of network cards as QEMU's sources name
		// them (without its ROM a card that args name is refused; hw/net has efi-NAME.rom but for eepro100), and the keymaps of -k,
		// which are 16 KB together. OVMF, 1.5 MB, isn't there: a system that boots by UEFI has it in its folder and -bios OVMF.fd in
		// its args.
		firmware: append([]string{
			"bios.bin", "bios-256k.bin", "bios-microvm.bin", "qboot.rom", "vgabios*.bin", "sgabios.bin", "kvmvapic.bin",
			"linuxboot.bin", "linuxboot_dma.bin", "multiboot.bin", "multiboot_dma.bin", "pvh.bin",
		}, cards...),
		boots: hasBIOS,
	},
	arch.ARM64: {
		install:  "apt-get install qemu-system-arm qemu-efi-aarch64",
		plugins:  []string{"accel-tcg-aarch64", "hw-display-virtio-gpu", "hw-display-virtio-gpu-pci", "hw-usb-host"},
		firmware: cards,
		boots:    (*Installation).addUEFI,
	},
}

// CheckNodes says why nodes of an architecture (a GOARCH value) can't be given a QEMU: what they get is this machine's.
func CheckNodes(nodes string) error {
	if nodes == runtime.GOARCH {
		return nil
	}
	return fmt.Errorf("nodes get QEMU from a seeder's machine of their own architecture, which is %s, and this one is %s; run a seeder on such a "+
		"machine, or start the system by another method", nodes, runtime.GOARCH)
}

// cards are option ROMs of network cards, and the keymaps.
var cards = []string{
	"efi-e1000.rom", "efi-e1000e.rom", "efi-ne2k_pci.rom", "efi-pcnet.rom", "efi-rtl8139.rom", "efi-virtio.rom", "efi-vmxnet3.rom",
	"pxe-eepro100.rom", "keymaps/*",
}

func hasBIOS(i *Installation, dirs []string) error {
	if i.files[path.Join(qemuruntime.Share, "bios-256k.bin")] == "" {
		return fmt.Errorf("QEMU's BIOS (bios-256k.bin) is in none of %s: apt-get install seabios", strings.Join(dirs, ", "))
	}
	return nil
}

// uefi are the places of UEFI firmware for arm64 guests: of the package qemu-efi-aarch64 of Debian and Ubuntu (QEMU_EFI.fd is
// AAVMF_CODE.fd without 62 MiB of padding), of edk2-aarch64 of Fedora.
var uefi = []string{"/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "/usr/share/edk2/aarch64/QEMU_EFI.fd", "/usr/share/AAVMF/AAVMF_CODE.fd"}

// addUEFI adds the firmware that arm64 guests start with, from the packages of distributions, or where QEMU installs its own.
func (i *Installation) addUEFI(dirs []string) error {
	places := uefi
	for _, dir := range dirs {
		places = append(places[:len(places):len(places)], path.Join(dir, qemuruntime.ARM64Firmware))
	}
	for _, file := range places {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			i.files[path.Join(qemuruntime.Share, qemuruntime.ARM64Firmware)] = file
			return nil
		}
	}
	return fmt.Errorf("UEFI firmware for arm64 guests is in none of %s: apt-get install qemu-efi-aarch64", strings.Join(places, ", "))
}

// Package qemu packs the QEMU that is installed on the seeder's machine into a runtime for nodes: one archive in the form of
// internal/qemuruntime, with everything in it that QEMU needs, so that a node whose own system has no shared library can
// run it.
//
// In goes an installation ([Find]) and the kernel modules that mkimage put aside; out comes a system for the store
// ([Installation.Pack]), made once and kept until one of the files in it changes.
package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/ldd"

	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// program is what is packed.
const program = "qemu-system-x86_64"

// install is what to do where it is missing.
const install = "apt-get install qemu-system-x86"

// Installation is a QEMU with everything it needs: files of this machine by their paths in the archive.
type Installation struct {
	// Binary is where QEMU was found.
	Binary string
	files  map[string]string
}

// plugins are QEMU's own modules that a node has a use for: the translator without KVM, the graphics cards of today's
// guests, and USB devices of the node. Others are for other displays, sound, and storage that a node doesn't have.
var plugins = []string{
	"accel-tcg-x86_64", "hw-display-virtio-gpu", "hw-display-virtio-gpu-pci", "hw-display-virtio-vga", "hw-usb-host",
}

// firmware is what an x86 guest's machine may ask for, by name or pattern: BIOSes, the programs of graphics cards and of direct
// kernel boot, the option ROMs of network cards as QEMU's sources name them (without its ROM a card that args name is
// refused; hw/net has efi-NAME.rom but for eepro100), and the keymaps of -k, which are 16 KB together. OVMF, 1.5 MB,
// isn't there: a system that boots by UEFI has it in its folder and -bios OVMF.fd in its args.
var firmware = []string{
	"bios.bin", "bios-256k.bin", "bios-microvm.bin", "qboot.rom", "vgabios*.bin", "sgabios.bin", "kvmvapic.bin",
	"linuxboot.bin", "linuxboot_dma.bin", "multiboot.bin", "multiboot_dma.bin", "pvh.bin",
	"efi-e1000.rom", "efi-e1000e.rom", "efi-ne2k_pci.rom", "efi-pcnet.rom", "efi-rtl8139.rom", "efi-virtio.rom", "efi-vmxnet3.rom",
	"pxe-eepro100.rom", "keymaps/*",
}

// Find looks for QEMU on this machine. The error says what to install.
func Find() (*Installation, error) {
	binary, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%s is not installed on this machine, from which nodes get it: %s", program, install)
	}
	i := &Installation{Binary: binary, files: map[string]string{}}
	i.files[qemuruntime.Binary] = binary
	if err := i.addFirmware(); err != nil {
		return nil, err
	}
	return i, i.addLibraries()
}

// libraryDirs are where distributions have QEMU's folder of modules: Debian, Fedora, others.
var libraryDirs = []string{"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"}

// addLibraries adds the dynamic linker, QEMU's modules and all libraries that those and QEMU need.
func (i *Installation) addLibraries() error {
	loader, err := ldd.GetInterp(i.Binary)
	if err != nil || loader == "" {
		return fmt.Errorf("%s asks for no dynamic linker (%v); install it again: %s", i.Binary, err, install)
	}
	i.files[qemuruntime.Loader] = loader
	if err := i.addNeeded(i.Binary); err != nil {
		return fmt.Errorf("%w; install it again: %s", err, install)
	}
	for _, name := range plugins {
		file := plugin(name)
		if file == "" {
			continue // it is part of the program, or QEMU was built without
		}
		if i.addNeeded(file) == nil { // otherwise what it needs is a package's that isn't there; QEMU says so when it is asked for
			i.files[path.Join(qemuruntime.Plugins, name+".so")] = file
		}
	}
	return nil
}

// addNeeded adds the libraries that a program or library needs, as the dynamic linker finds them (ld.so --list). On an error
// nothing is added.
func (i *Installation) addNeeded(file string) error {
	libraries, err := ldd.List(file)
	if err != nil {
		return fmt.Errorf("the dynamic linker can't find what %s needs: %w", file, err)
	}
	for _, library := range libraries {
		if !filepath.IsAbs(library) { // "libx.so => not found"
			return fmt.Errorf("a library that %s needs is not on this machine: ldd %s", file, file)
		}
	}
	for _, library := range libraries {
		i.files[path.Join(qemuruntime.Libraries, filepath.Base(library))] = library
	}
	return nil
}

// plugin is the file of one of QEMU's modules; empty if there is none.
func plugin(name string) string {
	for _, dir := range libraryDirs {
		at := filepath.Join(dir, "qemu", name+".so")
		if _, err := os.Stat(at); err == nil {
			return at
		}
	}
	return ""
}

// addFirmware adds the firmware from all folders in which QEMU looks for it; the first that has a file counts.
func (i *Installation) addFirmware() error {
	out, err := exec.Command(i.Binary, "-L", "help").Output()
	if err != nil {
		return fmt.Errorf("ask %s where its firmware is: %w", i.Binary, err)
	}
	dirs := strings.Fields(string(out))
	for _, dir := range dirs {
		for _, pattern := range firmware {
			matches, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return err
			}
			for _, file := range matches {
				if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
					continue // a link into a package that isn't there
				}
				rel, err := filepath.Rel(dir, file)
				if err != nil {
					return err
				}
				name := path.Join(qemuruntime.Share, filepath.ToSlash(rel))
				if _, known := i.files[name]; !known {
					i.files[name] = file
				}
			}
		}
	}
	if i.files[path.Join(qemuruntime.Share, "bios-256k.bin")] == "" {
		return fmt.Errorf("QEMU's BIOS (bios-256k.bin) is in none of %s: apt-get install seabios", strings.Join(dirs, ", "))
	}
	return nil
}

// names are the paths in the archive, sorted.
func (i *Installation) names() []string {
	names := make([]string, 0, len(i.files))
	for name := range i.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// missing explains a file that vanished.
func missing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: was QEMU upgraded meanwhile? restart the seeder", err)
	}
	return err
}

// version is the first line of qemu --version, for people.
func (i *Installation) version() string {
	out, err := exec.Command(i.Binary, "--version").Output()
	if err != nil {
		return program
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return string(line)
}

// Package media makes what a machine without network boot starts phase 1 from: a disk image for USB sticks ([Contents.Disk])
// and an ISO image ([Contents.ISO]), for machines with BIOS and with UEFI.
//
// Both hold one small FAT file system with what UEFI starts at EFI/BOOT/BOOTX64.EFI (UEFI 2.10 section 3.5.1.1), and texts for people. That is
// either the unified kernel image, or shim, as machines with Secure Boot know it, which starts GRUB with kernel and initramfs beside it: GRUB can't
// take a signed kernel out of a unified image, as it reads whole sectors, and shim refuses a file with something behind its signature. A BIOS
// starts another GRUB (GNU GRUB manual, "BIOS installation"), which takes kernel and initramfs from the same place. Nothing is on the medium twice.
package media

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/fat"
	"github.com/boottorrent/boottorrent/internal/gpt"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/uki"
	grubscript "github.com/boottorrent/boottorrent/templates/grub"
)

// Contents are what a medium holds: UKI, or Chain.
type Contents struct {
	// Arch is the machines' architecture; amd64 if empty. Others have no BIOS.
	Arch arch.Arch
	// UKI is a unified kernel image and Sections where its parts are.
	UKI      []byte
	Sections []uki.Section
	// Chain is what starts under Secure Boot with nothing enrolled; nil if UKI is on the medium.
	Chain *Chain
	// Cmdline is the kernel command line that GRUB gives.
	Cmdline string
	// Graphics says that GRUB is to look for a picture of 1024x768 for the kernel; where there is none it goes on without.
	Graphics bool
	// Label is the medium's name, up to eleven characters.
	Label string
	// Files are texts for people.
	Files []fat.File
	// Volume is the serial number of the FAT file system, by which phase 1 knows its medium.
	Volume uint32
}

// Chain is shim and what it starts: GRUB, which takes kernel and initramfs as files; and MokManager, by which a person enrols keys.
type Chain struct {
	Shim, GRUB, MokManager []byte
	Kernel, Initramfs      []byte
}

// efiConfig is where Debian's signed GRUB for removable media looks for its script, on the medium that it was started from.
const efiConfig = "boot/grub/grub.cfg"

func (c Contents) efiFile(name string) string { return "EFI/BOOT/" + name + c.arch().EFI() + ".efi" }

func (c Contents) arch() arch.Arch { return cmp.Or(c.Arch, arch.AMD64) }

// boot are the files that firmware and boot loaders read.
func (c Contents) boot() []fat.File {
	if c.Chain == nil {
		return []fat.File{{Path: c.arch().RemovableFile(), Data: c.UKI}}
	}
	return []fat.File{
		{Path: c.arch().RemovableFile(), Data: c.Chain.Shim},
		{Path: c.efiFile("grub"), Data: c.Chain.GRUB},
		{Path: c.efiFile("mm"), Data: c.Chain.MokManager},
		{Path: efiConfig, Data: []byte(c.script(""))},
		{Path: image.MediumKernel, Data: c.Chain.Kernel},
		{Path: image.MediumInitramfs, Data: c.Chain.Initramfs},
	}
}

// room is what is left on the file system: for the files that an editor makes beside the one it writes.
const room = 256 << 10

// made is the time of everything, as the bytes must not depend on when they were made.
var made = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fileSystem is the FAT file system, to stand at a sector of a disk.
func (c Contents) fileSystem(at uint32) ([]byte, error) {
	return fat.Make(append(c.boot(), c.Files...), fat.Options{Label: c.Label, ID: c.Volume, Time: made, Free: room, Hidden: at})
}

// RAMDisk returns the image of a disk that UEFI HTTP boot makes a RAM disk of (UEFI 2.10, 24.7.3.1): nothing but the file system.
func (c Contents) RAMDisk() ([]byte, error) { return c.fileSystem(0) }

// id makes an identifier of the contents and a name, a version 8 UUID (RFC 9562).
func (c Contents) id(name string) (g gpt.GUID) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %08x %q %t ", name, c.Volume, c.Cmdline, c.Graphics)
	h.Write(c.UKI)
	copy(g[:], h.Sum(nil))
	g[7] = g[7]&0x0f | 0x80
	g[8] = g[8]&0x3f | 0x80
	return g
}

// dataFirst is the sector of the file system on a disk. Partitions begin at a MiB, as all tools of today want it.
const dataFirst = 2048

// Disk returns the image of a disk with sectors of [gpt.Sector] bytes. g makes its way for BIOS; there is none if it is nil.
//
// The file system comes first, in the table and on the disk, and is typed as data: of a removable disk Windows before 10.1703
// shows the first partition only, and no Windows gives an ESP a letter, so nobody could edit what is on it there. UEFI
// firmware starts removable media from any FAT file system.
func (c Contents) Disk(ctx context.Context, g *GRUB) ([]byte, error) {
	data, err := c.fileSystem(dataFirst)
	if err != nil {
		return nil, err
	}
	partitions := []gpt.Partition{{Type: gpt.BasicData, ID: c.id("data"), First: dataFirst, Name: "BootTorrent"}}
	if g == nil {
		end := upToEight(dataFirst + sectors(data))
		partitions[0].Last = uint64(end - 1)
		disk := make([]byte, (end+gpt.Behind)*gpt.Sector)
		copy(disk[dataFirst*gpt.Sector:], data)
		return disk, gpt.Write(disk, c.id("disk"), partitions)
	}
	core, err := g.core(ctx, "(,gpt1)", c.script(c.picture()))
	if err != nil {
		return nil, err
	}
	// Each up to a multiple of eight sectors, and room for the second partition table.
	coreFirst := upToEight(dataFirst + sectors(data))
	end := upToEight(coreFirst + sectors(core))
	disk := make([]byte, (end+gpt.Behind)*gpt.Sector)
	copy(disk, g.boot[:bootCode])
	binary.LittleEndian.PutUint64(disk[coreAt:], uint64(coreFirst))
	// The program believes the BIOS which drive it is; GRUB's own installer writes these two bytes for anything but floppies.
	copy(disk[driveCheckAt:], "\x90\x90")
	copy(disk[coreFirst*gpt.Sector:], core)
	binary.LittleEndian.PutUint64(disk[coreFirst*gpt.Sector+blockListAt:], uint64(coreFirst+1))
	copy(disk[dataFirst*gpt.Sector:], data)
	partitions[0].Last = uint64(coreFirst - 1)
	return disk, gpt.Write(disk, c.id("disk"), append(partitions,
		gpt.Partition{Type: gpt.BIOSBoot, ID: c.id("grub"), First: uint64(coreFirst), Last: uint64(end - 1), Name: "BIOS boot"}))
}

// sectors is how many sectors some bytes take.
func sectors(b []byte) int { return (len(b) + gpt.Sector - 1) / gpt.Sector }

func upToEight(n int) int { return (n + 7) / 8 * 8 }

// script is what GRUB does. before are lines that make the file system the root, and that set the picture. GRUB for BIOS knows commands alone
// in it, no "if".
func (c Contents) script(before string) string {
	kernel, initramfs := "/"+image.MediumKernel, "/"+image.MediumInitramfs
	if c.Chain == nil {
		before += "loopback uki /" + c.arch().RemovableFile() + "\n"
		kernel, initramfs = c.section(".linux"), c.section(".initrd")
	}
	return before + "linux " + kernel + " " + grubscript.Words(c.Cmdline) + "\n" +
		"initrd " + initramfs + "\n" +
		"boot\n" +
		"echo This medium is damaged, or not for this machine. It restarts in a minute.\n" +
		"sleep 60\nreboot\n"
}

// picture is the line that has a kernel started by BIOS set a mode. One that UEFI starts has the firmware's.
func (c Contents) picture() string {
	if c.Graphics {
		return "set gfxpayload=1024x768x32,1024x768x24,1024x768x16,text\n"
	}
	return "set gfxpayload=text\n"
}

// section is where a part of the unified kernel image is, as GRUB reads it: in whole sectors.
func (c Contents) section(name string) string {
	for _, s := range c.Sections {
		if s.Name == name {
			return fmt.Sprintf("(uki)%d+%d", s.Offset/gpt.Sector, (s.Size+gpt.Sector-1)/gpt.Sector)
		}
	}
	return "missing"
}

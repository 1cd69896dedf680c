package site

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// headSize is how much of a file is read to tell what it is: up to the volume descriptor of an ISO 9660 image.
const headSize = 0x8010

// kernelImage is what a kernel's header says of it.
type kernelImage struct {
	// arch is a GOARCH value.
	arch string
	// maxCmdline is the longest command line in bytes, with the zero at its end.
	maxCmdline int
}

// Offsets and flags of the x86 boot protocol (Linux, Documentation/arch/x86/boot.rst).
const (
	bootFlagAt     = 0x1fe // u16, 0xAA55
	bootMagicAt    = 0x202 // "HdrS"
	bootVersionAt  = 0x206 // u16
	loadFlagsAt    = 0x211 // u8, bit 0: LOADED_HIGH, a bzImage
	xloadFlagsAt   = 0x236 // u16, bit 0: XLF_KERNEL_64, bit 1: XLF_CAN_BE_LOADED_ABOVE_4G
	cmdlineSizeAt  = 0x238 // u32, without the zero byte
	bootHeaderSize = 0x264
)

// arm64MagicAt is where arm64's Image has "ARM\x64" (Linux, Documentation/arch/arm64/booting.rst).
const arm64MagicAt = 0x38

// readKernelHeader says what kernel a file is that begins with head, or why kexec_file_load(2) would refuse it. The
// conditions for x86 are those of bzImage64_probe in Linux's arch/x86/kernel/kexec-bzimage64.c.
func readKernelHeader(head []byte) (kernelImage, error) {
	if len(head) > arm64MagicAt+4 && string(head[arm64MagicAt:arm64MagicAt+4]) == "ARM\x64" {
		return kernelImage{"arm64", maxCmdline}, nil
	}
	if len(head) < bootHeaderSize || binary.LittleEndian.Uint16(head[bootFlagAt:]) != 0xaa55 ||
		string(head[bootMagicAt:bootMagicAt+4]) != "HdrS" {
		return kernelImage{}, fmt.Errorf("it is %s", identify(head).what)
	}
	version := binary.LittleEndian.Uint16(head[bootVersionAt:])
	flags := binary.LittleEndian.Uint16(head[xloadFlagsAt:])
	switch {
	case version < 0x20c:
		return kernelImage{}, fmt.Errorf("its x86 boot protocol is %d.%02d, from before Linux 3.8, and kexec needs 2.12", version>>8, version&0xff)
	case head[loadFlagsAt]&1 == 0:
		return kernelImage{}, errors.New("it is a zImage, and kexec needs a bzImage")
	case flags&1 == 0:
		return kernelImage{}, errors.New("it is for 32-bit x86, and kexec from 64-bit needs a 64-bit kernel")
	case flags&2 == 0:
		return kernelImage{}, errors.New("it can't be loaded above 4 GiB (not relocatable), which kexec needs")
	}
	size := binary.LittleEndian.Uint32(head[cmdlineSizeAt:])
	return kernelImage{"amd64", int(min(size, maxCmdline-1)) + 1}, nil
}

// fileKind is what a file that isn't what was wanted seems to be.
type fileKind struct {
	what, do string
	// broken files are good for nothing, neither as a kernel nor as an initrd.
	broken bool
}

const uncompress = "uncompress it first, and name the result"

var (
	emptyFile   = fileKind{"empty", "copy it here again", true}
	unknownFile = fileKind{what: "something unknown"}
)

// magics tell files by what they have at an offset; the first that fits counts.
var magics = []struct {
	at    int
	magic string
	fileKind
}{
	{0, "version https://git-lfs", fileKind{"a Git LFS pointer, not the file itself", "fetch the file: git lfs pull", true}},
	{0, "<!DOCTYPE", fileKind{"a web page, perhaps of a failed download", "download the file again", true}},
	{0, "<!doctype", fileKind{"a web page, perhaps of a failed download", "download the file again", true}},
	{0, "<html", fileKind{"a web page, perhaps of a failed download", "download the file again", true}},
	{0, "\x7fELF", fileKind{what: "an ELF program (vmlinux?)", do: "name the bzImage of the same build: arch/x86/boot/bzImage"}},
	{4, "zimg", fileKind{what: "a compressed EFI kernel (EFI zboot)", do: "name the uncompressed Image of the same build"}},
	{0, "\x1f\x8b", fileKind{what: "compressed by gzip", do: uncompress}},
	{0, "\xfd7zXZ\x00", fileKind{what: "compressed by xz", do: uncompress}},
	{0, "\x28\xb5\x2f\xfd", fileKind{what: "compressed by zstd", do: uncompress}},
	{0, "\x02\x21\x4c\x18", fileKind{what: "compressed by lz4", do: uncompress}},
	{0, "BZh", fileKind{what: "compressed by bzip2", do: uncompress}},
	{0, "070701", fileKind{what: "a cpio archive (an initramfs?)"}},
	{0, "hsqs", fileKind{what: "a squashfs image"}},
	{0, "PK\x03\x04", fileKind{what: "a ZIP archive"}},
	{0, "!<arch>\ndebian", fileKind{what: "a Debian package", do: "unpack it (dpkg-deb -x) and name the vmlinuz in its boot/"}},
	{0, "\xed\xab\xee\xdb", fileKind{what: "an RPM package", do: "unpack it and name the vmlinuz in it"}},
	{0, "QFI\xfb", fileKind{what: "a QCOW2 disk image"}},
	{0, "#!", fileKind{what: "a script"}},
	{257, "ustar", fileKind{what: "a tar archive", do: "unpack it and name the kernel in it"}},
	{0x8001, "CD001", fileKind{what: "an ISO 9660 image", do: "copy kernel and initrd out of it"}},
	{0, "MZ", fileKind{what: "an EFI program (a unified kernel image or boot loader?)"}},
	{0x1fe, "\x55\xaa", fileKind{what: "a disk image or boot sector"}},
}

// identify says what a file that begins with head seems to be.
func identify(head []byte) fileKind {
	if len(head) == 0 {
		return emptyFile
	}
	for _, m := range magics {
		if len(head) >= m.at && bytes.HasPrefix(head[m.at:], []byte(m.magic)) {
			return m.fileKind
		}
	}
	return unknownFile
}

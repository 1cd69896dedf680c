// Package bzimage reads the headers of Linux kernels, of x86 (Linux, Documentation/arch/x86/boot.rst) and of arm64
// (Documentation/arch/arm64/booting.rst): mkimage wants to know their release, and seeder and nodes whether kexec takes them.
package bzimage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Offsets in the header of the x86 boot protocol.
const (
	bootFlagAt     = 0x1fe // u16, 0xAA55
	magicAt        = 0x202 // "HdrS"
	versionAt      = 0x206 // u16: 0x020c is 2.12
	releaseAt      = 0x20e // u16: where, less 0x200, a text is that begins with the release
	loadFlagsAt    = 0x211 // u8
	xloadFlagsAt   = 0x236 // u16, since 2.12
	cmdlineSizeAt  = 0x238 // u32, without the zero at the end, since 2.06
	initSizeAt     = 0x260 // u32, since 2.10
	headerEnd      = 0x264
	commandLine    = 2048 // COMMAND_LINE_SIZE of x86 and arm64
	loadedHigh     = 1    // in loadflags: a bzImage
	kernel64       = 1    // XLF_KERNEL_64
	loadableAbove4 = 2    // XLF_CAN_BE_LOADED_ABOVE_4G
)

// Header is what a kernel says of itself.
type Header struct {
	// Arch is a GOARCH value.
	Arch string
	// Protocol is the version of the x86 boot protocol, 0x020f for 2.15; 0 for arm64.
	Protocol uint16
	// MaxCmdline is the longest command line in bytes, without the zero at its end; never more than kexec takes.
	MaxCmdline int
	// InitSize is how many bytes of memory the kernel needs: on x86 to unpack itself, on arm64 from its beginning on; 0 if it doesn't say.
	InitSize int64
	// Payload is where a compressed kernel for arm64 is in the file; nil for a bare Image, and for x86, where kernels unpack themselves.
	Payload               *Payload
	bzImage, is64, above4 bool
	bigEndian             bool
	release               int64
}

// HeaderSize is how many bytes of a file [Parse] needs.
const HeaderSize = headerEnd

// ErrNone is returned by Parse for what is no kernel's header.
var ErrNone = errors.New("it has no header of a Linux kernel")

// Parse reads the header of the kernel that begins with head.
func Parse(head []byte) (Header, error) {
	if h, ok := parseARM64(head); ok {
		return h, nil
	}
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	if len(head) < headerEnd || u16(head[bootFlagAt:]) != 0xaa55 || string(head[magicAt:magicAt+4]) != "HdrS" {
		return Header{}, ErrNone
	}
	h := Header{Arch: "amd64", Protocol: u16(head[versionAt:]), MaxCmdline: 255, bzImage: head[loadFlagsAt]&loadedHigh != 0}
	if at := u16(head[releaseAt:]); at != 0 {
		h.release = int64(at) + 0x200
	}
	if h.Protocol >= 0x206 {
		h.MaxCmdline = int(min(u32(head[cmdlineSizeAt:]), commandLine-1))
	}
	if h.Protocol >= 0x20a {
		h.InitSize = int64(u32(head[initSizeAt:]))
	}
	if h.Protocol >= 0x20c {
		flags := u16(head[xloadFlagsAt:])
		h.is64, h.above4 = flags&kernel64 != 0, flags&loadableAbove4 != 0
	}
	return h, nil
}

// Kexec says why a node can't start the kernel by kexec; nil: nothing speaks against it. The conditions for x86 are those of
// bzImage64_probe in arch/x86/kernel/kexec-bzimage64.c; that of XLF_5LEVEL is not among them, as nodes don't use page
// tables of five levels (package image).
func (h Header) Kexec() error {
	switch {
	case h.Arch == "arm64":
		return h.kexecARM64()
	case h.Protocol < 0x20c:
		return fmt.Errorf("its x86 boot protocol is %d.%02d, from before Linux 3.8, and kexec needs 2.12", h.Protocol>>8, h.Protocol&0xff)
	case !h.bzImage:
		return errors.New("it is a zImage, and kexec needs a bzImage")
	case !h.is64:
		return errors.New("it is for 32-bit x86, and kexec from 64-bit needs a 64-bit kernel")
	case !h.above4:
		return errors.New("it can't be loaded above 4 GiB (not relocatable), which kexec needs: it was built without CONFIG_RELOCATABLE")
	case h.MaxCmdline == 0:
		return errors.New("it takes no command line")
	}
	return nil
}

// Release reads the release, as uname -r prints it, from the kernel in r; empty if it doesn't say.
func (h Header) Release(r io.ReaderAt) string {
	if h.Arch == "arm64" {
		return h.releaseARM64(r)
	}
	if h.release == 0 {
		return ""
	}
	text := make([]byte, 256)
	n, _ := r.ReadAt(text, h.release) // of a file that ends there, what there is
	release, _, _ := strings.Cut(string(text[:n]), " ")
	if strings.ContainsAny(release, "\x00/") {
		return ""
	}
	return release
}

// Older reports whether a release such as 5.10.0-8-amd64 is of a Linux before major.minor; an unknown one is not.
func Older(release string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(release, "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a < major || a == major && b < minor
}

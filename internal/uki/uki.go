// Package uki joins a kernel, an initramfs, a kernel command line and an os-release into one UEFI program, a unified
// kernel image: https://uapi-group.org/specifications/specs/unified_kernel_image/
//
// In goes systemd's stub (Debian's package systemd-boot-efi, systemd-stub(7)), a PE file (Microsoft's "PE Format") that looks into its own image for
// the sections .linux, .initrd, .cmdline, .osrel and .uname; out comes the stub with those sections behind its own. [Content]
// reads one of them again.
package uki

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// StubFile is where Debian's package systemd-boot-efi has the stub for x86-64.
const StubFile = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// Image is what a unified kernel image consists of.
type Image struct {
	// Stub is the PE file to start from.
	Stub []byte
	// OSRelease is a text as in os-release(5), Cmdline a kernel command line, Release the kernel's uname -r.
	OSRelease, Cmdline, Release string
	Kernel, Initrd              []byte
}

// StubPackage is the package that has the stub.
const StubPackage = "systemd-boot-efi"

// ReadStub reads the stub for an architecture of a root file system in which its package is, "/" for this machine's. The error says
// what to install.
func ReadStub(root string, a arch.Arch) ([]byte, error) {
	file := filepath.Join(root, filepath.Dir(StubFile), "linux"+a.EFI()+".efi.stub")
	stub, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: apt-get install %s", file, StubPackage)
	}
	return stub, err
}

// Section is where one of the sections is in the file.
type Section struct {
	Name string
	// Offset and Size are in bytes; Size is that of the content, behind which the file is padded with zeros.
	Offset, Size int64
}

// Offsets in the headers of a PE32+ file.
const (
	peOffsetAt = 0x3c // of the DOS header: where "PE\0\0" is
	coffSize   = 24   // signature and COFF header
	sectionsAt = 6    // number of sections, from the signature
	symbolsAt  = 12   // likewise: where the symbols are, and how many

	imageSizeAt     = 56 // from the optional header
	checksumAt      = 64
	sectionHeader   = 40
	dataReadOnly    = 0x40000040 // IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ
	maxSectionBytes = 1 << 31
)

// Build returns the image and where its sections are.
func Build(im Image) ([]byte, []Section, error) {
	pe, err := parse(im.Stub)
	if err != nil {
		return nil, nil, fmt.Errorf("the stub for a unified kernel image: %w", err)
	}
	var sections []Section
	for _, s := range []struct {
		name string
		data []byte
	}{
		{".osrel", []byte(im.OSRelease)}, {".cmdline", append([]byte(im.Cmdline), 0)}, {".uname", []byte(im.Release)},
		// The stub passes the initramfs on in place, and copies the kernel to run it: order is of no matter.
		{".linux", im.Kernel}, {".initrd", im.Initrd},
	} {
		section, err := pe.add(s.name, s.data)
		if err != nil {
			return nil, nil, fmt.Errorf("make a unified kernel image: %w", err)
		}
		sections = append(sections, section)
	}
	return pe.file, sections, nil
}

// peFile is a PE file that grows.
type peFile struct {
	file                []byte
	coff, optional      int // where the headers are
	table, room         int // the section table, and where it must end
	sectionAlign, align int
	next                int // the next free virtual address
}

var order = binary.LittleEndian

// parse checks the stub's headers and finds the end of its image in memory.
func parse(stub []byte) (*peFile, error) {
	f, header, err := read(stub)
	if err != nil {
		return nil, err
	}
	p := &peFile{file: bytes.Clone(stub), coff: int(order.Uint32(stub[peOffsetAt:]))}
	p.optional = p.coff + coffSize
	p.table, p.room = p.optional+int(f.SizeOfOptionalHeader), int(header.SizeOfHeaders)
	p.sectionAlign, p.align = int(header.SectionAlignment), int(header.FileAlignment)
	end := p.table + p.count()*sectionHeader
	if end > p.room || p.room > len(stub) || p.align < 512 || p.align&(p.align-1) != 0 || p.sectionAlign < p.align || p.sectionAlign&(p.sectionAlign-1) != 0 {
		return nil, errors.New("its headers contradict each other")
	}
	if !isFiller(stub[end:p.room]) {
		return nil, errors.New("there is something behind its section table")
	}
	clear(p.file[end:p.room])
	content := p.room
	for _, s := range f.Sections {
		if s.Name == ".linux" || s.Name == ".initrd" {
			return nil, fmt.Errorf("it has a section %s already", s.Name)
		}
		if int(s.Offset)+int(s.Size) > len(stub) {
			return nil, errors.New("it is cut off")
		}
		p.next = max(p.next, up(int(s.VirtualAddress)+int(max(s.VirtualSize, s.Size)), p.page()))
		content = max(content, int(s.Offset)+int(s.Size))
	}
	// Symbols for debuggers are left out: of a file with a gap before a section not everybody takes the same digest to verify a
	// signature.
	p.file = p.file[:content]
	clear(p.file[p.coff+symbolsAt : p.coff+symbolsAt+8])
	p.pad()
	return p, nil
}

// nop is an instruction of arm64 that does nothing.
var nop = []byte{0x1f, 0x20, 0x03, 0xd5}

// isFiller reports whether bytes are only there for what follows them to be aligned: zeros, and in arm64's stub, whose headers are written in
// assembly language, instructions that do nothing.
func isFiller(b []byte) bool {
	for bytes.HasPrefix(b, nop) {
		b = b[len(nop):]
	}
	return !bytes.ContainsFunc(b, func(r rune) bool { return r != 0 })
}

// read reads the headers of a PE32+ file.
func read(image []byte) (*pe.File, *pe.OptionalHeader64, error) {
	f, err := pe.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, nil, fmt.Errorf("it is no PE file (%w)", err)
	}
	header, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok || len(image) < peOffsetAt+4 || string(image[:2]) != "MZ" {
		return nil, nil, errors.New("it is no 64-bit PE file")
	}
	return f, header, nil
}

// Content is what an image has in its section of a name, such as .linux.
func Content(image []byte, name string) ([]byte, error) {
	f, _, err := read(image)
	if err != nil {
		return nil, err
	}
	s := f.Section(name)
	if s == nil {
		return nil, fmt.Errorf("it has no section %s", name)
	}
	size, offset := int(min(s.VirtualSize, s.Size)), int(s.Offset)
	if offset+size > len(image) {
		return nil, errors.New("it is cut off")
	}
	return image[offset:][:size], nil
}

// page is what sections in memory are aligned to: a page at least, as systemd-stub and strict firmware want it.
func (p *peFile) page() int { return max(p.sectionAlign, 4096) }

func (p *peFile) count() int { return int(order.Uint16(p.file[p.coff+sectionsAt:])) }

// pad fills the file up to the next boundary.
func (p *peFile) pad() {
	p.file = append(p.file, make([]byte, up(len(p.file), p.align)-len(p.file))...)
}

// add appends a section.
func (p *peFile) add(name string, data []byte) (Section, error) {
	at := p.table + p.count()*sectionHeader
	if at+sectionHeader > p.room {
		return Section{}, fmt.Errorf("there is no room for the header of section %s in the stub", name)
	}
	if len(p.file)+len(data) > maxSectionBytes || len(data) == 0 {
		return Section{}, fmt.Errorf("section %s has %d bytes", name, len(data))
	}
	offset := len(p.file)
	p.file = append(p.file, data...)
	p.pad()
	h := p.file[at : at+sectionHeader]
	copy(h, name)
	order.PutUint32(h[8:], uint32(len(data)))
	order.PutUint32(h[12:], uint32(p.next))
	order.PutUint32(h[16:], uint32(len(p.file)-offset))
	order.PutUint32(h[20:], uint32(offset))
	order.PutUint32(h[36:], dataReadOnly)
	p.next = up(p.next+len(data), p.page())
	order.PutUint16(p.file[p.coff+sectionsAt:], uint16(p.count()+1))
	order.PutUint32(p.file[p.optional+imageSizeAt:], uint32(p.next))
	order.PutUint32(p.file[p.optional+checksumAt:], 0) // firmware doesn't look at it; 0 is none
	return Section{name, int64(offset), int64(len(data))}, nil
}

func up(n, to int) int { return (n + to - 1) / to * to }

package kexec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/u-root/u-root/pkg/boot/kexec"
	"github.com/u-root/u-root/pkg/dt"
	"golang.org/x/sys/unix"
)

// armImage is the header of a kernel (booting.rst, "Call the kernel image") that has so many bytes in its file and in memory.
func armImage(t *testing.T, offset, size uint64, file int) []byte {
	t.Helper()
	b := make([]byte, file)
	binary.LittleEndian.PutUint64(b[8:], offset)
	binary.LittleEndian.PutUint64(b[16:], size)
	copy(b[0x38:], "ARM\x64")
	return b
}

// efiTree is a device tree as EFI's stub makes it on a machine with ACPI, for a kernel that had been started by kexec before.
func efiTree() *dt.FDT {
	chosen := dt.NewNode("chosen", dt.WithProperty(
		dt.PropertyU64("linux,uefi-system-table", 0x13c140018), dt.PropertyString("bootargs", "old"),
		dt.PropertyU64("linux,initrd-start", 1), dt.PropertyU64("linux,initrd-end", 2),
		dt.Property{Name: "linux,usable-memory-range", Value: make([]byte, 16)},
		dt.Property{Name: "kaslr-seed", Value: make([]byte, 8)},
	))
	return &dt.FDT{Header: dt.Header{Magic: dt.Magic, Version: 17, LastCompVersion: 16}, RootNode: dt.NewNode("", dt.WithChildren(chosen))}
}

func ram(start uintptr, size uint) kexec.TypedRange {
	return kexec.TypedRange{Range: kexec.Range{Start: start, Size: size}, Type: kexec.RangeRAM}
}

const (
	mib = 1 << 20
	gib = 1 << 30
)

func TestPlace(t *testing.T) {
	for name, c := range map[string]struct {
		memory       kexec.MemoryMap
		kernel       []byte
		initrd       int
		kernelAt     uintptr
		initrdAt     uintptr
		kernelMemory uint
	}{
		"all low": {
			kexec.MemoryMap{ram(0x40000000, gib)}, armImage(t, 0, 3*mib+1, 2*mib), 5000, 0x40000000, 0x40000000 + 3*mib + 4096, 3*mib + 4096,
		},
		"an old kernel's offset": {
			kexec.MemoryMap{ram(0x40000000, gib)}, armImage(t, 0x80000, 3*mib, 2*mib), 5000, 0x40080000, 0x40000000, 3 * mib,
		},
		"memory does not begin where a kernel can": {
			kexec.MemoryMap{ram(0x40001000, gib)}, armImage(t, 0, mib, mib), 0, 0x40200000, 0, mib,
		},
		"only the initrd is too long for the low memory": {
			kexec.MemoryMap{ram(0x80000000, 4*mib), ram(0x8000000000, gib)}, armImage(t, 0, mib, mib), 5 * mib, 0x8000000000, 0x8000000000 + mib, mib,
		},
		"the initrd may be in other memory that is near": {
			kexec.MemoryMap{ram(0x80000000, 4*mib), ram(0x880000000-mib*8, gib)}, armImage(t, 0, mib, mib), 5 * mib, 0x80000000, 0x880000000 - mib*8, mib,
		},
	} {
		t.Run(name, func(t *testing.T) {
			initrd := bytes.Repeat([]byte("i"), c.initrd)
			tree := efiTree()
			segments, entry, err := place(c.memory, c.kernel, initrd, tree, "quiet")
			if err != nil {
				t.Fatal(err)
			}
			checkSegments(t, segments, c.memory)
			if s := containing(t, segments, c.kernelAt); &s.Buf[0] != &c.kernel[0] || s.Phys.Start != c.kernelAt || s.Phys.Size != c.kernelMemory {
				t.Errorf("the kernel is not at %#x with %d bytes: %v", c.kernelAt, c.kernelMemory, segments)
			}
			if c.initrd > 0 {
				if s := containing(t, segments, c.initrdAt); &s.Buf[0] != &initrd[0] || s.Phys.Start != c.initrdAt {
					t.Errorf("the initrd is not at %#x: %v", c.initrdAt, segments)
				}
			}
			checkEntry(t, segments, entry, c.kernelAt, c.initrdAt, c.initrd)
		})
	}
}

// checkSegments checks what kexec_load(2) wants: pages, which don't overlap; and that all are in memory.
func checkSegments(t *testing.T, segments kexec.Segments, memory kexec.MemoryMap) {
	t.Helper()
	for i, s := range segments {
		if s.Phys.Start%4096 != 0 || s.Phys.Size%4096 != 0 || uint(len(s.Buf)) > s.Phys.Size {
			t.Errorf("segment %v is not of pages", s)
		}
		in := false
		for _, r := range memory.RAM() {
			in = in || r.IsSupersetOf(s.Phys)
		}
		if !in {
			t.Errorf("segment %v is not in memory", s)
		}
		for _, other := range segments[i+1:] {
			if s.Phys.Overlaps(other.Phys) {
				t.Errorf("%v and %v overlap", s, other)
			}
		}
	}
}

func containing(t *testing.T, segments kexec.Segments, at uintptr) kexec.Segment {
	t.Helper()
	for _, s := range segments {
		if s.Phys.Contains(at) {
			return s
		}
	}
	t.Fatalf("nothing is at %#x: %v", at, segments)
	return kexec.Segment{}
}

// checkEntry follows the first instructions to kernel and device tree, and reads that.
func checkEntry(t *testing.T, segments kexec.Segments, entry, kernelAt, initrdAt uintptr, initrd int) {
	t.Helper()
	code := containing(t, segments, entry).Buf
	if at := binary.LittleEndian.Uint64(code[0x18:]); uintptr(at) != kernelAt {
		t.Errorf("the first instructions lead to %#x, want the kernel at %#x", at, kernelAt)
	}
	tree, err := dt.ReadFDT(bytes.NewReader(containing(t, segments, uintptr(binary.LittleEndian.Uint64(code[0x20:]))).Buf))
	if err != nil {
		t.Fatal(err)
	}
	chosen, _ := tree.RootNode.LookupChildByName("chosen")
	if p, ok := chosen.LookProperty("bootargs"); !ok || string(p.Value) != "quiet\x00" {
		t.Errorf("bootargs: %v", p)
	}
	if p, ok := chosen.LookProperty("linux,uefi-system-table"); !ok || binary.BigEndian.Uint64(p.Value) != 0x13c140018 {
		t.Error("the way to EFI's tables is gone")
	}
	if p, ok := chosen.LookProperty("kaslr-seed"); !ok || bytes.Equal(p.Value, make([]byte, 8)) {
		t.Error("there is no new seed")
	}
	if p, ok := chosen.LookProperty("linux,usable-memory-range"); ok {
		t.Errorf("what was for the kernel before stays: %v", p)
	}
	start, _ := chosen.LookProperty("linux,initrd-start")
	end, _ := chosen.LookProperty("linux,initrd-end")
	switch {
	case initrd == 0 && (start != nil || end != nil):
		t.Error("the tree has an initrd of the kernel before")
	case initrd > 0 && (binary.BigEndian.Uint64(start.Value) != uint64(initrdAt) || binary.BigEndian.Uint64(end.Value) != uint64(initrdAt)+uint64(initrd)):
		t.Errorf("the tree has the initrd at %v to %v", start, end)
	}
}

// What is reserved is left alone.
func TestPlaceAvoidsReserved(t *testing.T) {
	memory := kexec.MemoryMap{ram(0x40000000, gib)}
	memory.Insert(kexec.TypedRange{Range: kexec.Range{Start: 0x40100000, Size: 4096}, Type: kexec.RangeReserved})
	segments, _, err := place(memory, armImage(t, 0, 3*mib, mib), nil, efiTree(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		if s.Phys.Contains(0x40100000) {
			t.Errorf("%v is where something is reserved", s)
		}
	}
	containing(t, segments, 0x40200000)
}

func TestPlaceRefuses(t *testing.T) {
	memory := kexec.MemoryMap{ram(0x40000000, 4*mib)}
	for name, c := range map[string]struct {
		kernel  []byte
		initrd  int
		cmdline string
		want    error
	}{
		"no kernel":                     {make([]byte, 100), 0, "", unix.ENOEXEC},
		"less than a header":            {make([]byte, 10), 0, "", unix.ENOEXEC},
		"no room for the kernel":        {armImage(t, 0, 5*mib, mib), 0, "", unix.EADDRNOTAVAIL},
		"no room for the initrd":        {armImage(t, 0, mib, mib), 3*mib + 1, "", unix.EADDRNOTAVAIL},
		"no room for the tree":          {armImage(t, 0, mib, mib), 3 * mib, "", unix.EADDRNOTAVAIL},
		"a command line that is long":   {armImage(t, 0, mib, mib), 0, strings.Repeat("c", 2048), unix.EINVAL},
		"a command line that just fits": {armImage(t, 0, mib, mib), 0, strings.Repeat("c", 2047), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := place(memory, c.kernel, make([]byte, c.initrd), efiTree(), c.cmdline); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

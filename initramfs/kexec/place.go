package kexec

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/u-root/u-root/pkg/align"
	"github.com/u-root/u-root/pkg/boot/image"
	"github.com/u-root/u-root/pkg/boot/kexec"
	"github.com/u-root/u-root/pkg/dt"
	"golang.org/x/sys/unix"
)

// What an arm64 kernel wants of its place in memory (Linux, Documentation/arch/arm64/booting.rst).
const (
	kernelAlign = 2 << 20
	// An initrd has to be within 32 GiB from the beginning of the GiB that the kernel is in.
	windowAlign, window = 1 << 30, 32 << 30
	// The device tree has at most 2 MiB, and the command line in it COMMAND_LINE_SIZE bytes with the zero at its end: the kernel would cut it.
	maxTree    = 2 << 20
	maxCmdline = 2048
)

// errNoRoom is returned by place.
var errNoRoom = fmt.Errorf("%w: memory has no free stretch that is long enough", unix.EADDRNOTAVAIL)

// place says where in a machine's physical memory an arm64 kernel, its initrd (or nil), the device tree and the first instructions
// go, all as low as possible, and where the processor has to begin. The tree is changed: it gets the initrd's place, the command
// line and random numbers, and loses what was meant for the kernel before. The memory of what runs now is not avoided, as the
// kernel copies the segments to their places at the end; what the firmware and the kernel have reserved in memory is (/proc/iomem).
func place(memory kexec.MemoryMap, kernel, initrd []byte, tree *dt.FDT, cmdline string) (segments kexec.Segments, entry uintptr, err error) {
	if len(cmdline) >= maxCmdline {
		return nil, 0, unix.EINVAL
	}
	header, err := image.ParseFromBytes(kernel)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", unix.ENOEXEC, err)
	}
	m := &kexec.Memory{Phys: memory}
	at, err := placeBoth(m, header.Header, kernel, initrd)
	if err != nil {
		return nil, 0, err
	}
	described, err := describe(tree, m.Segments, initrd, cmdline)
	if err != nil {
		return nil, 0, err
	}
	treeAt, err := m.AddKexecSegment(described)
	if err != nil {
		return nil, 0, errNoRoom
	}
	start, err := m.AddKexecSegment(firstInstructions(at, treeAt.Start))
	if err != nil {
		return nil, 0, errNoRoom
	}
	return m.Segments, start.Start, nil
}

// placeBoth adds the segments of the kernel and, behind it in the slice, the initrd, and returns the kernel's address. The kernel is put
// into the lowest stretch of memory where both can be.
func placeBoth(m *kexec.Memory, header image.Arm64Header, kernel, initrd []byte) (uintptr, error) {
	offset, size := uint(header.TextOffset), align.UpPage(max(uint(header.ImageSize), uint(len(kernel))))
	for _, stretch := range m.AvailableRAM() {
		base, err := kexec.Ranges{stretch}.FindSpace(offset+size, kexec.WithStartAlignment(kernelAlign))
		if err != nil {
			continue
		}
		at := base.Start + uintptr(offset)
		segments := kexec.Segments{kexec.NewSegment(kernel, kexec.Range{Start: at, Size: size})}
		if len(initrd) > 0 {
			with := kexec.Memory{Phys: m.Phys, Segments: segments}
			near := kexec.Range{Start: at &^ (windowAlign - 1), Size: window}
			r, err := with.AvailableRAM().FindSpaceIn(align.UpPage(uint(len(initrd))), near)
			if err != nil {
				continue
			}
			segments = append(segments, kexec.NewSegment(initrd, r))
		}
		m.Segments = segments
		return at, nil
	}
	return 0, errNoRoom
}

// describe returns the device tree for the kernel (Linux, Documentation/devicetree/bindings/chosen.txt in the device tree schema's
// chosen.yaml). What EFI's stub has written into it stays: where the firmware's tables and its map of memory are.
func describe(tree *dt.FDT, segments kexec.Segments, initrd []byte, cmdline string) ([]byte, error) {
	chosen, ok := tree.RootNode.LookupChildByName("chosen")
	if !ok {
		chosen = dt.NewNode("chosen")
		tree.RootNode.Children = append(tree.RootNode.Children, chosen)
	}
	for _, old := range []string{"linux,elfcorehdr", "linux,usable-memory-range", "linux,initrd-start", "linux,initrd-end", "bootargs"} {
		chosen.RemoveProperty(old)
	}
	for name, size := range map[string]int{"kaslr-seed": 8, "rng-seed": 64} {
		seed := make([]byte, size)
		if _, err := rand.Read(seed); err != nil {
			return nil, err
		}
		chosen.UpdateProperty(name, seed)
	}
	if cmdline != "" {
		chosen.UpdateProperty("bootargs", append([]byte(cmdline), 0))
	}
	if len(initrd) > 0 {
		at := uint64(segments[1].Phys.Start)
		chosen.Update(dt.PropertyU64("linux,initrd-start", at))
		chosen.Update(dt.PropertyU64("linux,initrd-end", at+uint64(len(initrd))))
	}
	var b bytes.Buffer
	if _, err := tree.Write(&b); err != nil {
		return nil, fmt.Errorf("write the device tree: %w", err)
	}
	if b.Len() > maxTree {
		return nil, fmt.Errorf("the device tree has %d bytes, and kernels take %d", b.Len(), maxTree)
	}
	return b.Bytes(), nil
}

// firstInstructions is a program that enters a kernel as booting.rst wants it: with the address of the device tree in x0, and zeros
// in x1, x2 and x3.
func firstInstructions(kernel, tree uintptr) []byte {
	code := []uint32{
		0x580000c4, // ldr x4, 0x18
		0x580000e0, // ldr x0, 0x20
		0xd2800001, // mov x1, #0
		0xd2800002, // mov x2, #0
		0xd2800003, // mov x3, #0
		0xd61f0080, // br x4
	}
	var b []byte
	for _, word := range code {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(kernel)) // at 0x18
	return binary.LittleEndian.AppendUint64(b, uint64(tree))
}

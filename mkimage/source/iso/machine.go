package iso

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/iso9660"
)

// Machine is an ISO or disk image that nothing else is known of than that a machine may start from it.
type Machine struct{}

// Name implements source.Kind.
func (Machine) Name() string { return "other ISO or disk image" }

// Example implements source.Kind.
func (Machine) Example() source.Example {
	return source.Example{
		Source:  "windows.iso DIR/oss/windows",
		Becomes: "a virtual machine that has it as its disc or disk (qemu)",
	}
}

// disks are the formats of disk images that QEMU reads, by their beginnings (QEMU's block/*.c), with QEMU's names.
var disks = []struct{ magic, format string }{
	{"QFI\xfb", "qcow2"}, {"KDMV", "vmdk"}, {"# Disk DescriptorFile", "vmdk"}, {"vhdxfile", "vhdx"}, {"conectix", "vpc"}, {"QED\x00", "qed"},
}

// vdiAt is where VirtualBox's images have their signature, 0xbeda107f.
const vdiAt = 0x40

// diskFormat is QEMU's name for the format of a disk image; empty if the source is none.
func diskFormat(head []byte) string {
	for _, d := range disks {
		if bytes.HasPrefix(head, []byte(d.magic)) {
			return d.format
		}
	}
	switch {
	case len(head) >= vdiAt+4 && string(head[vdiAt:vdiAt+4]) == "\x7f\x10\xda\xbe":
		return "vdi"
	case len(head) >= 512 && head[510] == 0x55 && head[511] == 0xaa: // a boot sector, or a partition table
		return "raw"
	}
	return ""
}

// isUDF looks for the volume recognition sequence of UDF (ECMA-167, 2/9.1), which discs without ISO 9660 have.
func isUDF(head []byte) bool {
	for at := 16 * 2048; at+6 <= len(head); at += 2048 {
		if string(head[at+1:at+4]) == "NSR" {
			return true
		}
	}
	return false
}

// Recognise implements source.Kind.
func (Machine) Recognise(_ context.Context, s *source.Source) (bool, error) {
	return s.IsFile() && (iso9660.Is(s.Head) || isUDF(s.Head) || diskFormat(s.Head) != ""), nil
}

// Import implements source.Kind.
func (Machine) Import(ctx context.Context, j *source.Job) error {
	s, err := j.NewSystem("")
	if err != nil {
		return err
	}
	f, err := os.Open(j.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	s.Title = strings.TrimSuffix(filepath.Base(j.Path), filepath.Ext(j.Path))
	s.Comments[""] = "Made by " + self.Mkimage() + " import of " + filepath.Base(j.Path) + ". Neither a live system nor the kernel of an installer was found in it, so it starts in a virtual machine " +
		"on the node. What the guest writes is forgotten."
	s.Comments["args"] = "The node gives the guest the memory that is free, its processors and a network card. To have it otherwise, add QEMU's options, such as -m 4G -smp 2\n" +
		"Its firmware is a BIOS. For what starts by UEFI only, copy /usr/share/ovmf/OVMF.fd (package ovmf) here, and add: -bios OVMF.fd"
	if disc := iso9660.Is(j.Head) || isUDF(j.Head); disc {
		if i, err := open(j.Source); err == nil && i != nil {
			if title := i.title(); title != "" {
				s.Title = title
			}
			i.close()
		}
		s.QEMU = &source.QEMU{Args: []string{"-cdrom", "disc.iso", "-boot", "d"}}
		return j.CopyFile(ctx, s, "disc.iso", f, j.Size, "the ISO image as it is; nothing in it can be started without a virtual machine")
	}
	format := diskFormat(j.Head)
	name := "disk." + format
	s.QEMU = &source.QEMU{Args: []string{"-drive", "file=" + name + ",format=" + format + ",snapshot=on"}}
	return j.CopyFile(ctx, s, name, f, j.Size, "the disk image as it is; no Linux root file system was found in it")
}

package roots

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/rootimage"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/iso"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// Disk is a disk with a Linux root file system on one of its partitions: a raw image, a block device, or what virtual machines have.
type Disk struct{}

// Name implements source.Kind.
func (Disk) Name() string { return "disk with Linux on it (raw, qcow2, vmdk, vdi, vhdx, vhd)" }

// Example implements source.Kind.
func (Disk) Example() source.Example {
	return source.Example{
		Source:  "golden.qcow2 DIR/oss/golden",
		Becomes: "the largest partition with a root file system, as a squashfs image (root); other partitions are named",
	}
}

// formats are those of disk images that qemu-img reads, by their beginnings, with its names for them (QEMU, block/*.c).
var formats = []struct {
	magic, format string
	at            int
}{
	{"QFI\xfb", "qcow2", 0}, {"KDMV", "vmdk", 0}, {"# Disk DescriptorFile", "vmdk", 0}, {"vhdxfile", "vhdx", 0}, {"conectix", "vpc", 0},
	{"\x7f\x10\xda\xbe", "vdi", 0x40},
}

// raw is the format of a disk without one.
const raw = "raw"

// formatOf is the format of a disk; empty: it is none.
func formatOf(head []byte) string {
	for _, f := range formats {
		if len(head) > f.at && bytes.HasPrefix(head[f.at:], []byte(f.magic)) {
			return f.format
		}
	}
	const bootSignature, gpt = 510, 512
	if len(head) >= gpt+8 && (string(head[gpt:gpt+8]) == "EFI PART" || head[bootSignature] == 0x55 && head[bootSignature+1] == 0xaa) {
		return raw
	}
	return ""
}

// isISO reports whether a disk is an ISO 9660 volume with a partition table, as those are that can be written on sticks.
func isISO(head []byte) bool {
	const at = 16*2048 + 1
	return len(head) >= at+5 && string(head[at:at+5]) == "CD001"
}

// Recognise implements source.Kind. A disk whose partitions have no Linux is another kind's.
func (Disk) Recognise(ctx context.Context, s *source.Source) (bool, error) {
	if !s.IsFile() {
		return false, nil
	}
	format := formatOf(s.Head)
	if format == "" || isISO(s.Head) {
		return false, nil
	}
	if format == raw {
		parts, err := partitions(ctx, s.Path, s.Size)
		return slices.ContainsFunc(parts, partition.mayBeLinux), err
	}
	return beginsLikeLinux(ctx, s.Path, format)
}

// Import implements source.Kind.
func (Disk) Import(ctx context.Context, j *source.Job) error {
	path, size := j.Path, j.Size
	if format := formatOf(j.Head); format != raw {
		var err error
		if path, size, err = convert(ctx, j, format); err != nil {
			return err
		}
	}
	parts, err := partitions(ctx, path, size)
	if err != nil {
		return err
	}
	slices.SortStableFunc(parts, func(a, b partition) int { return int(min(max(b.size-a.size, -1), 1)) })
	var hidden []string
	for i, p := range parts {
		switch done, err := importPartition(ctx, j, path, p, slices.Delete(slices.Clone(parts), i, i+1)); {
		case done || err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			hidden = append(hidden, fmt.Sprintf("%s: %v", p, err))
		}
	}
	if len(hidden) > 0 {
		return fmt.Errorf("no root file system was found on this disk: %s", strings.Join(hidden, "; "))
	}
	j.Log.Warn("no Linux root file system is on this disk, so it is to start in a virtual machine", "partitions", list(parts))
	return iso.Machine{}.Import(ctx, j)
}

func list(parts []partition) string {
	var names []string
	for _, p := range parts {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// importPartition makes a system of a partition, if a root file system is on it; others are those that it leaves aside. An error without a system is
// why nobody can tell.
func importPartition(ctx context.Context, j *source.Job, path string, p partition, others []partition) (done bool, err error) {
	if err := p.usable(); err != nil || !p.readable() {
		return false, err
	}
	step := j.Step("look into "+p.String(), 0)
	defer step.End()
	t, err := tree.ReadPart(ctx, path, p.fs, p.offset, p.size, tree.Limits{})
	if err != nil && tree.CantMount(err) && p.fs == rootimage.Ext4 {
		return importUnmounted(ctx, j, path, p, others)
	}
	if err != nil {
		return false, p.explain(err)
	}
	defer t.Close()
	if !t.IsRoot() {
		return false, nil
	}
	step.End()
	s, err := diskSystem(j, p, others)
	if err != nil {
		return true, err
	}
	return true, pack(ctx, j, s, t, p.String())
}

// importUnmounted is importPartition for who may not mount: the partition becomes an image as it is.
func importUnmounted(ctx context.Context, j *source.Job, path string, p partition, others []partition) (done bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	whole := part{path: path, name: p.String(), fs: p.fs, offset: p.offset, size: p.size}
	is, err := whole.isRoot(ctx, j)
	if err != nil || !is {
		return false, err
	}
	s, err := diskSystem(j, p, others)
	if err != nil {
		return true, err
	}
	return true, stays(ctx, j, s, whole, errors.New("only root can mount it"))
}

// diskSystem begins the system of a partition.
func diskSystem(j *source.Job, p partition, others []partition) (*source.System, error) {
	s, err := newSystem(j, fmt.Sprintf("%s of the disk %s", p, j.Path))
	if err != nil || len(others) == 0 {
		return s, err
	}
	j.Log.Info("other partitions of the disk are left aside", "partitions", list(others))
	s.Comments[""] += "\nLeft aside: " + list(others) + "."
	return s, nil
}

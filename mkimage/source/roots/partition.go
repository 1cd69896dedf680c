package roots

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/rootimage"
	"github.com/boottorrent/boottorrent/internal/text"
)

// partition is one of a disk, or the whole disk if that has no partitions.
type partition struct {
	// number counts from 1; 0 is the whole disk.
	number       int
	offset, size int64
	// label is the partition's name in a GPT, kind what its table says of it: a GUID, or a number of MBR in hexadecimal digits.
	label, kind string
	// fs is what is in it; empty: nothing that is known.
	fs      string
	unclean bool
}

func (p partition) String() string {
	what, name := p.fs, fmt.Sprintf("partition %d", p.number)
	if what == "" {
		what = "nothing known"
	}
	if p.number == 0 {
		name = "the whole disk"
	}
	if p.label != "" {
		name += " " + strconv.Quote(p.label)
	}
	return fmt.Sprintf("%s (%s, %s)", name, text.Size(p.size), what)
}

// What partitions may have beside the file systems of rootimage.
const (
	xfs   = "xfs"
	btrfs = "btrfs"
	luks  = "LUKS"
	lvm   = "LVM"
)

// extended reports whether a partition is the one that MBR's logical partitions are in.
func (p partition) extended() bool { return p.kind == "5" || p.kind == "F" || p.kind == "85" }

// readable reports whether there may be a root file system that can be read.
func (p partition) readable() bool {
	switch p.fs {
	case rootimage.Ext4, rootimage.Squashfs, rootimage.Erofs, xfs, btrfs:
		return true
	}
	return false
}

// mayBeLinux reports whether what is in a partition may be Linux.
func (p partition) mayBeLinux() bool { return p.readable() || p.fs == luks || p.fs == lvm }

// usable says what to do about a partition that is Linux's and can't be read.
func (p partition) usable() error {
	switch {
	case p.fs == luks:
		return errors.New("it is encrypted; open it as root (cryptsetup open --readonly), mount what is in it read-only, and import that folder")
	case p.fs == lvm:
		return errors.New("it is a part of an LVM volume group; activate that as root (losetup --partscan --find --show, vgchange --activate y), mount the root volume read-only, and import that folder")
	case p.unclean:
		return checkClean(rootimage.Image{Unclean: true})
	}
	return nil
}

// explain says what to do about a file system that can't be mounted.
func (p partition) explain(err error) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root can read %s; run this as root: %w", p.fs, err)
	}
	if p.fs == xfs || p.fs == btrfs {
		return fmt.Errorf("%w; if the machine was not shut down, start and shut it down properly (its journal is replayed then)", err)
	}
	return err
}

// signatures are those of what partitions have, at an offset (util-linux, libblkid).
var signatures = []struct {
	at       int64
	text, fs string
}{
	{0, "LUKS\xba\xbe", luks}, {512, "LABELONE", lvm}, {0, "XFSB", xfs}, {0x10040, "_BHRfS_M", btrfs}, {4086, "SWAPSPACE2", "swap"},
	{3, "NTFS    ", "NTFS"}, {3, "EXFAT   ", "exFAT"}, {82, "FAT32   ", "FAT"}, {54, "FAT1", "FAT"},
}

// recognise says what a partition has.
func (p *partition) recognise(disk io.ReaderAt) {
	r := io.NewSectionReader(disk, p.offset, p.size)
	for _, s := range signatures {
		b := make([]byte, len(s.text))
		if _, err := r.ReadAt(b, s.at); err == nil && string(b) == s.text {
			p.fs = s.fs
			return
		}
	}
	if is, err := rootimage.Read(r, p.size); err == nil {
		p.fs, p.unclean = is.FS, is.Unclean
	}
}

// partitions are those of a raw disk. Without a table it is the whole disk.
func partitions(ctx context.Context, path string, size int64) ([]partition, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	parts, err := partitionTable(ctx, path)
	if err != nil {
		return nil, err
	}
	parts = slices.DeleteFunc(parts, partition.extended)
	if len(parts) == 0 {
		parts = []partition{{size: size}}
	}
	for i := range parts {
		p := &parts[i]
		if p.offset < 0 || p.size <= 0 || p.offset > size-p.size {
			return nil, fmt.Errorf("partition %d ends behind the disk's %s: the disk is cut off; copy it again", p.number, text.Size(size))
		}
		p.recognise(f)
	}
	return parts, nil
}

// partitionTable reads a table with sfdisk, which knows GPT and MBR with its chains of logical partitions.
func partitionTable(ctx context.Context, path string) ([]partition, error) {
	var messages bytes.Buffer
	cmd := exec.CommandContext(ctx, "sfdisk", "--json", path)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stderr = &messages
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, errors.New("the program sfdisk is needed and not installed; install the package fdisk")
	case err != nil && strings.Contains(messages.String(), "does not contain a recognized partition table"):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the partition table: sfdisk: %w: %s", err, strings.TrimSpace(messages.String()))
	}
	return parseTable(out)
}

// parseTable reads what sfdisk --json prints.
func parseTable(out []byte) ([]partition, error) {
	var table struct {
		PartitionTable struct {
			Label      string
			SectorSize int64
			Partitions []struct {
				Node, Type, Name string
				Start, Size      int64
			}
		}
	}
	if err := json.Unmarshal(out, &table); err != nil {
		return nil, fmt.Errorf("read the partition table: sfdisk: %w", err)
	}
	sector := table.PartitionTable.SectorSize
	if sector == 0 {
		sector = 512
	}
	var parts []partition
	for i, p := range table.PartitionTable.Partitions {
		const protective = "ee" // an MBR's only partition where a GPT follows
		if table.PartitionTable.Label == "dos" && p.Type == protective {
			return nil, errors.New("its GPT is damaged, or says that the disk is larger than it is: it was cut off; copy it again")
		}
		number, err := strconv.Atoi(p.Node[len(strings.TrimRight(p.Node, "0123456789")):])
		if err != nil {
			number = i + 1
		}
		parts = append(parts, partition{number: number, offset: p.Start * sector, size: p.Size * sector, label: p.Name, kind: strings.ToUpper(p.Type)})
	}
	return parts, nil
}

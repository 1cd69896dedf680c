package local

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is where the kernel shows the disks; tests have folders of their own.
type machine struct{ sys, dev string }

var running = machine{sys: "/sys/class/block", dev: "/dev"}

func (m machine) path(name string) string { return filepath.Join(m.dev, name) }

// disk is a whole disk.
type disk struct {
	name, model string
	// size is in bytes.
	size       int64
	usb        bool
	partitions []volume
}

// String names the disk for a person: sda (QEMU HARDDISK, 20 GB).
func (d disk) String() string {
	about := fmt.Sprintf("%.0f GB", float64(d.size)/1e9)
	if d.size < 1e9 {
		about = fmt.Sprintf("%.0f MB", float64(d.size)/1e6)
	}
	if d.model != "" {
		about = d.model + ", " + about
	}
	return fmt.Sprintf("%s (%s)", d.name, about)
}

// volume is a partition.
type volume struct {
	name   string
	number uint32
	// start is in blocks of the disk.
	start uint64
}

// notDisks are the names of block devices that are no disks, but for their numbers: memory, loops, CDs, floppies, what others are put together of,
// and the boot areas of eMMC.
var notDisks = []string{"ram", "loop", "zram", "sr", "fd", "dm-", "md", "nbd", "mtdblock"}

// Present are the names of the disks that the kernel has, to see whether all have been found.
func Present() []string {
	disks, _ := running.disks()
	var names []string
	for _, d := range disks {
		names = append(names, d.name)
		for _, p := range d.partitions {
			names = append(names, p.name)
		}
	}
	return names
}

// disks are those of the machine itself, which are not removable; those by USB come last.
func (m machine) disks() ([]disk, error) {
	entries, err := os.ReadDir(m.sys)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the disks: %w", err)
	}
	var disks []disk
	for _, e := range entries {
		name := e.Name()
		if !m.isDisk(name) {
			continue
		}
		d := disk{name: name, model: m.line(name, "device/model"), size: 512 * m.number(name, "size")}
		if target, err := filepath.EvalSymlinks(filepath.Join(m.sys, name)); err == nil {
			d.usb = strings.Contains(target, "/usb")
		}
		d.partitions = m.partitions(name)
		disks = append(disks, d)
	}
	slices.SortFunc(disks, func(a, b disk) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(len(a.name), len(b.name)), strings.Compare(a.name, b.name))
	})
	return disks, nil
}

func rank(d disk) int {
	if d.usb {
		return 1
	}
	return 0
}

func (m machine) isDisk(name string) bool {
	if slices.ContainsFunc(notDisks, func(p string) bool { return strings.HasPrefix(name, p) }) || strings.Contains(name, "boot") ||
		strings.HasSuffix(name, "rpmb") {
		return false
	}
	_, err := os.Stat(filepath.Join(m.sys, name, "partition"))
	return err != nil && m.number(name, "size") > 0 && m.line(name, "removable") != "1"
}

// partitions are those that the kernel knows of a disk.
func (m machine) partitions(disk string) []volume {
	entries, _ := os.ReadDir(filepath.Join(m.sys, disk) + "/")
	block := max(512, m.number(disk, "queue/logical_block_size"))
	var parts []volume
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), disk) {
			continue
		}
		inside := filepath.Join(disk, e.Name())
		if n := m.number(inside, "partition"); n > 0 {
			parts = append(parts, volume{e.Name(), uint32(n), uint64(m.number(inside, "start") * 512 / block)})
		}
	}
	slices.SortFunc(parts, func(a, b volume) int { return cmp.Compare(a.number, b.number) })
	return parts
}

func (m machine) line(name, attribute string) string {
	b, err := os.ReadFile(filepath.Join(m.sys, name, attribute))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (m machine) number(name, attribute string) int64 {
	n, _ := strconv.ParseInt(m.line(name, attribute), 10, 64)
	return n
}

// hasBootCode reports whether a disk's first sector is one that a BIOS starts: 55 AA at its end, and code at its beginning. A table of
// partitions that was made without installing a boot loader has none.
func hasBootCode(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sector := make([]byte, 512)
	if _, err := io.ReadFull(f, sector); err != nil {
		return false, err
	}
	code := slices.ContainsFunc(sector[:440], func(b byte) bool { return b != 0 })
	return code && sector[510] == 0x55 && sector[511] == 0xaa, nil
}

// readOnly has the kernel refuse whatever would be written to a disk or partition until the function that it returns is called. Where
// that can't be, as of what is no block device in tests, mounting it read-only has to do.
func readOnly(path string) (undo func()) {
	set := func(to int) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.BLKROSET, to)
	}
	if set(1) != nil {
		return func() {}
	}
	return func() { _ = set(0) }
}

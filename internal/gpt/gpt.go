// Package gpt writes the partition table of a disk image: a GUID partition table with its copy at the disk's end and a
// protective master boot record (UEFI 2.10 chapter 5), with the same bytes each time. It reads one, too.
//
// The master boot record has a second entry, of no type and one sector, that is active: some BIOSes start nothing from a disk
// without an active entry, and UEFI firmware (EDK II's PartitionDxe) takes no table for a GUID partition table's whose
// protective entry is the active one (xorrisofs(1), --mbr-force-bootable).
package gpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"
)

// Sector is the size of a sector in bytes.
const Sector = 512

// GUID is an identifier in the order of bytes it has on a disk (UEFI 2.10 appendix A: the first three fields are little-endian).
type GUID [16]byte

// Types of partitions.
var (
	// ESP is an EFI system partition (UEFI 2.10 table 5.7), C12A7328-F81F-11D2-BA4B-00A0C93EC93B.
	ESP = GUID{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}
	// BasicData is any file system (UEFI 2.10 table 5.7 leaves such types to operating systems; this one is Microsoft's),
	// EBD0A0A2-B9E5-4433-87C0-68B6B72699C7. Windows gives it a letter, which an ESP doesn't get; UEFI starts removable media
	// from any FAT file system (UEFI 2.10 section 3.5.1.1).
	BasicData = GUID{0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7}
	// BIOSBoot holds the part of GRUB that has no file system, 21686148-6449-6E6F-744E-656564454649.
	BIOSBoot = GUID{0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49}
)

// Partition is one. First and Last are sectors, both included.
type Partition struct {
	Type, ID    GUID
	First, Last uint64
	Name        string
}

const (
	entries, entrySize = 128, 128
	tableSectors       = entries * entrySize / Sector
	headerSize         = 92
	// FirstUsable is the first sector that a partition may have, and Behind how many sectors must be left behind the last.
	FirstUsable = 2 + tableSectors
	Behind      = 1 + tableSectors
)

var order = binary.LittleEndian

// Write writes the tables into a disk image. The boot program in the first 440 bytes stays.
func Write(disk []byte, id GUID, partitions []Partition) error {
	sectors := uint64(len(disk) / Sector)
	if len(disk)%Sector != 0 || sectors <= FirstUsable+Behind || len(partitions) > entries {
		return errors.New("write a partition table: the disk has no room for it")
	}
	last := sectors - Behind - 1
	table := make([]byte, entries*entrySize)
	for i, p := range partitions {
		if p.First < FirstUsable || p.Last < p.First || p.Last > last {
			return fmt.Errorf("write a partition table: partition %d from sector %d to %d, the disk offers %d to %d", i+1, p.First, p.Last, FirstUsable, last)
		}
		for _, other := range partitions[:i] {
			if p.First <= other.Last && other.First <= p.Last {
				return fmt.Errorf("write a partition table: partition %d overlaps another", i+1)
			}
		}
		e := table[i*entrySize:]
		copy(e, p.Type[:])
		copy(e[16:], p.ID[:])
		order.PutUint64(e[32:], p.First)
		order.PutUint64(e[40:], p.Last)
		for n, c := range utf16.Encode([]rune(p.Name)) {
			if n < 36 {
				order.PutUint16(e[56+2*n:], c)
			}
		}
	}
	at := func(sector uint64) []byte { return disk[sector*Sector:] }
	copy(at(2), table)
	copy(at(last+1), table)
	h := header{id: id, tableCRC: crc32.ChecksumIEEE(table), last: last}
	copy(at(1), h.bytes(1, sectors-1, 2))
	copy(at(sectors-1), h.bytes(sectors-1, 1, last+1))
	protect(disk, sectors)
	return nil
}

type header struct {
	id       GUID
	tableCRC uint32
	last     uint64
}

// bytes is the header that is at one sector, with its copy at another, and the entries' first sector (UEFI 2.10 table 5.5).
func (h header) bytes(at, other, table uint64) []byte {
	b := make([]byte, Sector)
	copy(b, "EFI PART")
	order.PutUint32(b[8:], 0x10000)
	order.PutUint32(b[12:], headerSize)
	order.PutUint64(b[24:], at)
	order.PutUint64(b[32:], other)
	order.PutUint64(b[40:], FirstUsable)
	order.PutUint64(b[48:], h.last)
	copy(b[56:], h.id[:])
	order.PutUint64(b[72:], table)
	order.PutUint32(b[80:], entries)
	order.PutUint32(b[84:], entrySize)
	order.PutUint32(b[88:], h.tableCRC)
	order.PutUint32(b[16:], crc32.ChecksumIEEE(b[:headerSize]))
	return b
}

// protect writes the master boot record's table: one partition over all (UEFI 2.10 table 5.4), and the active entry.
func protect(disk []byte, sectors uint64) {
	clear(disk[440:510])
	e := disk[446:]
	copy(e, []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff})
	order.PutUint32(e[8:], 1)
	order.PutUint32(e[12:], uint32(min(sectors-1, 0xffffffff)))
	active := e[16:]
	copy(active, []byte{0x80, 0, 1, 0, 0, 0, 1, 0})
	order.PutUint32(active[12:], 1)
	disk[510], disk[511] = 0x55, 0xaa
}

// ErrFormat says that there is no partition table.
var ErrFormat = errors.New("no GUID partition table")

// Read reads the first of the two tables of a disk, with sectors of 512 bytes, as [Write] and xorriso write them also for discs
// with larger ones. What is none gives an error that wraps ErrFormat. Names are not read.
func Read(disk io.ReaderAt) ([]Partition, error) {
	h := make([]byte, headerSize)
	if _, err := disk.ReadAt(h, Sector); err != nil {
		return nil, fmt.Errorf("read a partition table: %w", err)
	}
	first, count, size := order.Uint64(h[72:]), order.Uint32(h[80:]), order.Uint32(h[84:])
	sum := order.Uint32(h[16:])
	order.PutUint32(h[16:], 0)
	if string(h[:8]) != "EFI PART" || crc32.ChecksumIEEE(h) != sum || size < entrySize || size > Sector || count > 1024 || first > 1<<40 {
		return nil, ErrFormat
	}
	table := make([]byte, int(count)*int(size))
	if _, err := disk.ReadAt(table, int64(first)*Sector); err != nil {
		return nil, fmt.Errorf("read a partition table: %w", err)
	}
	if crc32.ChecksumIEEE(table) != order.Uint32(h[88:]) {
		return nil, fmt.Errorf("%w: its sum is wrong", ErrFormat)
	}
	var found []Partition
	for ; len(table) > 0; table = table[size:] {
		p := Partition{Type: GUID(table[:16]), ID: GUID(table[16:32]), First: order.Uint64(table[32:]), Last: order.Uint64(table[40:])}
		if p.Type != (GUID{}) {
			found = append(found, p)
		}
	}
	return found, nil
}

package hardware

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
)

// Memory is how much memory a machine has, as it was sold: what firmware and graphics keep for themselves included.
type Memory struct {
	// Bytes is 0 where it can't be known.
	Bytes int64
	// From says where the number comes from, in a word or two.
	From string
}

// What Memory.From says.
const (
	fromSMBIOS = "by SMBIOS"
	fromBlocks = "by the kernel's memory blocks"
	fromTotal  = "what the kernel can use"
)

const (
	// smbiosTable has the structures of SMBIOS (Linux's Documentation/ABI/testing/sysfs-firmware-dmi-tables).
	smbiosTable = "sys/firmware/dmi/tables/DMI"
	// memoryBlocks has a folder for each block of memory, of which some may be partly there (Documentation/admin-guide/mm/memory-hotplug.rst).
	memoryBlocks = "sys/devices/system/memory"
)

// memory is what SMBIOS says of the modules that are plugged in or soldered. Firmware that says nothing of them, as that of some virtual
// machines and of Raspberry Pis, leaves what the kernel knows: its blocks of memory, which reach over small holes, and last what programs
// can use. A number below the last one is wrong.
func (t tree) memory() Memory {
	total := t.memoryMiB() << 20
	for _, m := range []Memory{{t.modulesSize(), fromSMBIOS}, {t.blocksSize(), fromBlocks}} {
		if m.Bytes > 0 && m.Bytes >= total {
			return m
		}
	}
	return Memory{total, fromTotal}
}

// modulesSize is the sum over the memory modules that SMBIOS lists, in bytes.
func (t tree) modulesSize() int64 {
	table, err := os.ReadFile(t.path(smbiosTable))
	if err != nil {
		return 0
	}
	return memoryDevices(table)
}

// Of a structure of the type Memory Device (SMBIOS 3.7, 7.18), the offsets of two fields, and what Size says beside numbers.
const (
	memoryDevice     = 17
	deviceSizeAt     = 0x0c
	deviceTypeAt     = 0x12
	deviceExtendedAt = 0x1c

	sizeUnknown  = 0xffff
	sizeExtended = 0x7fff
	sizeInKiB    = 0x8000
)

// notRAM are the values of Memory Type (7.18.2) that are no main memory: video memory, and what keeps its content.
var notRAM = map[byte]bool{0x05: true, 0x08: true, 0x09: true, 0x0a: true, 0x0b: true, 0x0c: true, 0x1f: true}

// memoryDevices is the sum over the memory devices of an SMBIOS table. A structure is a type, the length of its fixed part (7.1), and behind
// that part strings, each ended by a zero byte, with one more behind the last.
func memoryDevices(table []byte) (sum int64) {
	const header, maxSum = 4, 1 << 50
	for len(table) >= header {
		length := int(table[1])
		if length < header || length > len(table) {
			return sum // damaged: what follows can't be found
		}
		if s := table[:length]; s[0] == memoryDevice {
			sum = min(sum+deviceSize(s), maxSum)
		}
		end := length
		for end+1 < len(table) && (table[end] != 0 || table[end+1] != 0) {
			end++
		}
		table = table[min(end+2, len(table)):]
	}
	return sum
}

// deviceSize is the size of a memory device in bytes; 0 for an empty slot.
func deviceSize(s []byte) int64 {
	if len(s) <= deviceTypeAt || notRAM[s[deviceTypeAt]] {
		return 0
	}
	size := binary.LittleEndian.Uint16(s[deviceSizeAt:])
	switch {
	case size == sizeUnknown:
		return 0
	case size == sizeExtended && len(s) >= deviceExtendedAt+4: // in MiB, without the highest bit
		return int64(binary.LittleEndian.Uint32(s[deviceExtendedAt:])&0x7fffffff) << 20
	case size&sizeInKiB != 0:
		return int64(size&^sizeInKiB) << 10
	}
	return int64(size) << 20
}

// blocksSize is the size of the kernel's memory blocks, in bytes.
func (t tree) blocksSize() int64 {
	size, err := strconv.ParseInt(t.line(memoryBlocks, "block_size_bytes"), 16, 64)
	if err != nil || size <= 0 || size > 1<<40 {
		return 0
	}
	blocks, _ := filepath.Glob(t.path(memoryBlocks, "memory[0-9]*"))
	return int64(len(blocks)) * size
}

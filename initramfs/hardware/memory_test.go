package hardware

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// dimm is a memory device of an SMBIOS table: of a size and type as the fields have them, with two strings behind it.
func dimm(size uint16, extended uint32, kind byte) []byte {
	s := make([]byte, 0x22)
	s[0], s[1], s[deviceTypeAt] = memoryDevice, byte(len(s)), kind
	binary.LittleEndian.PutUint16(s[deviceSizeAt:], size)
	binary.LittleEndian.PutUint32(s[deviceExtendedAt:], extended)
	return append(s, "DIMM 0\x00Bank 0\x00\x00"...)
}

func TestInstalledMemory(t *testing.T) {
	const dram, flash = 0x1a, 0x09
	other := append([]byte{1, 4, 0, 1}, 0, 0) // a structure without strings
	table := func(devices ...[]byte) string { return string(slices.Concat(append([][]byte{other}, devices...)...)) }
	eight := map[string]string{"proc/meminfo": "MemTotal:        7987654 kB\n"}
	blocks := func(n int) map[string]string {
		files := map[string]string{"proc/meminfo": "MemTotal:        7987654 kB\n", memoryBlocks + "/block_size_bytes": "8000000\n"}
		for i := range n {
			files[fmt.Sprintf("%s/memory%d/state", memoryBlocks, i)] = "online\n"
		}
		return files
	}
	for name, tt := range map[string]struct {
		files map[string]string
		table string
		want  Memory
	}{
		"two modules and an empty slot": {eight, table(dimm(4096, 0, dram), dimm(0, 0, 2), dimm(4096, 0, dram)), Memory{8 << 30, fromSMBIOS}},
		"a large module":                {eight, table(dimm(sizeExtended, 65536, dram)), Memory{64 << 30, fromSMBIOS}},
		"KiB, and flash beside it":      {eight, table(dimm(sizeInKiB|16384, 0, flash), dimm(8192, 0, dram)), Memory{8 << 30, fromSMBIOS}},
		"unknown sizes":                 {blocks(64), table(dimm(sizeUnknown, 0, dram)), Memory{8 << 30, fromBlocks}},
		"less than there is":            {blocks(64), table(dimm(1024, 0, dram)), Memory{8 << 30, fromBlocks}},
		"no table":                      {blocks(64), "", Memory{8 << 30, fromBlocks}},
		"no table and no blocks":        {eight, "", Memory{7800 << 20, fromTotal}},
		"a damaged table":               {eight, table(dimm(8192, 0, dram))[:20], Memory{7800 << 20, fromTotal}},
	} {
		root := fake(t, tt.files)
		if tt.table != "" {
			addFile(t, root, smbiosTable, tt.table)
		}
		if got := root.memory(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestSerial(t *testing.T) {
	for text, want := range map[string]string{
		"PF2ABCDE\n": "PF2ABCDE", "To be filled by O.E.M.\n": "", "Default string\n": "", "0\n": "", "00000000\n": "", "0012\n": "0012", "\n": "",
	} {
		if got := fake(t, map[string]string{"sys/class/dmi/id/product_serial": text}).serial(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := fake(t, map[string]string{"proc/device-tree/serial-number": "10000000a1b2c3d4\x00"}).serial(); got != "10000000a1b2c3d4" {
		t.Errorf("by the device tree: %q", got)
	}
}

func FuzzMemoryDevices(f *testing.F) {
	f.Add(dimm(4096, 0, 0x1a))
	f.Add(append(dimm(sizeExtended, 1<<31, 0x1a), 127, 4, 0, 0, 0, 0))
	f.Add([]byte{17, 0, 17, 255})
	f.Fuzz(func(t *testing.T, table []byte) {
		if sum := memoryDevices(table); sum < 0 {
			t.Errorf("%d bytes", sum)
		}
	})
}

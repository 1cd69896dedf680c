package gpt

import (
	"bytes"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

func TestForeignTool(t *testing.T) {
	sgdisk := need.Command(t, "sgdisk", "gdisk")
	disk := make([]byte, 8<<20)
	copy(disk, "boot program")
	err := Write(disk, GUID{1}, []Partition{
		{Type: BasicData, ID: GUID{3}, First: 2048, Last: 8191, Name: "BootTorrent"},
		{Type: BIOSBoot, ID: GUID{2}, First: 8192, Last: 14335, Name: "BIOS boot"},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, disk, 0o644); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(sgdisk, "--verify", "--print", path).CombinedOutput()
	text := string(said)
	if err != nil || !strings.Contains(text, "No problems found") || strings.Contains(strings.ToLower(text), "caution") ||
		!strings.Contains(text, "EF02  BIOS boot") || !strings.Contains(text, "0700  BootTorrent") {
		t.Errorf("sgdisk: %v\n%s", err, said)
	}
	if !strings.HasPrefix(string(disk), "boot program") {
		t.Error("the boot program is gone")
	}
	found, err := Read(bytes.NewReader(disk))
	if err != nil || len(found) != 2 || found[0].Type != BasicData || found[0].First != 2048 {
		t.Errorf("read again: %+v, %v", found, err)
	}
	// Of the four entries (UEFI 2.10 table 5.3) the protective one is not active, one of no type is.
	if mbr := disk[446:510]; mbr[0] != 0 || mbr[4] != 0xee || mbr[16] != 0x80 || mbr[16+4] != 0 || !bytes.Equal(mbr[32:], make([]byte, 32)) {
		t.Errorf("the master boot record's table is % x", mbr)
	}
}

// What fdisk, which reads the master boot record as a BIOS does, makes of it.
func TestActiveEntry(t *testing.T) {
	fdisk := need.Command(t, "sfdisk", "fdisk")
	disk := make([]byte, 4<<20)
	if err := Write(disk, GUID{1}, []Partition{{Type: BasicData, First: 2048, Last: 4095}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, disk, 0o644); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{"gpt": "Microsoft basic data", "dos": "GPT"} {
		cmd := exec.Command(fdisk, "--list", path)
		if kind == "dos" {
			cmd = exec.Command(fdisk, "--label-nested", "dos", "--list", path)
		}
		if said, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(said), want) {
			t.Errorf("as %s: %v\n%s", kind, err, said)
		}
	}
}

// A table by sgdisk is read, and one that was touched is not.
func TestReadForeign(t *testing.T) {
	sgdisk := need.Command(t, "sgdisk", "gdisk")
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, make([]byte, 4<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(sgdisk, "--new=3:2048:4095", "--typecode=3:EF00", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	disk, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found, err := Read(bytes.NewReader(disk))
	if err != nil || len(found) != 1 || found[0].Type != ESP || found[0].First != 2048 || found[0].Last != 4095 {
		t.Errorf("%+v, %v", found, err)
	}
	for _, at := range []int{Sector + 40, 2*Sector + 300} {
		bad := bytes.Clone(disk)
		bad[at] ^= 1
		if _, err := Read(bytes.NewReader(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}
}

// Tables of any kind do no harm. Their sums are put right, or nothing behind them would be read.
func FuzzRead(f *testing.F) {
	disk := make([]byte, 64<<10)
	if err := Write(disk, GUID{1}, []Partition{{Type: ESP, First: 40, Last: 50}}); err != nil {
		f.Fatal(err)
	}
	f.Add(disk[Sector:Sector+headerSize], disk[2*Sector:2*Sector+entries*entrySize])
	few := bytes.Clone(disk[Sector : Sector+headerSize])
	order.PutUint32(few[80:], 4) // entries
	f.Add(few, disk[2*Sector:3*Sector])
	f.Fuzz(func(t *testing.T, header, table []byte) {
		disk := make([]byte, 2*Sector, 2*Sector+len(table))
		h := disk[Sector:][:headerSize]
		copy(h, header)
		disk = append(disk, table...)
		if end := uint64(order.Uint32(h[80:])) * uint64(order.Uint32(h[84:])); end <= uint64(len(table)) {
			order.PutUint32(h[88:], crc32.ChecksumIEEE(table[:end]))
		}
		order.PutUint32(h[16:], 0)
		order.PutUint32(h[16:], crc32.ChecksumIEEE(h))
		if found, err := Read(bytes.NewReader(disk)); err == nil && len(found) > 1024 {
			t.Errorf("%d partitions", len(found))
		}
	})
}

func TestRefused(t *testing.T) {
	disk := make([]byte, 1<<20)
	for name, partitions := range map[string][]Partition{
		"over the first table": {{First: 33, Last: 100}},
		"over the last table":  {{First: 100, Last: 2048 - Behind}},
		"overlapping":          {{First: 100, Last: 200}, {First: 200, Last: 300}},
		"backwards":            {{First: 200, Last: 100}},
	} {
		if err := Write(disk, GUID{}, partitions); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Write(make([]byte, 100), GUID{}, nil); err == nil {
		t.Error("a disk of 100 bytes: no error")
	}
}

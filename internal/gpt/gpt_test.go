package gpt

import (
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
		{Type: BIOSBoot, ID: GUID{2}, First: 40, Last: 2047, Name: "BIOS boot"},
		{Type: ESP, ID: GUID{3}, First: 2048, Last: uint64(len(disk)/Sector-Behind)&^7 - 1, Name: "BootTorrent"},
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
		!strings.Contains(text, "EF02  BIOS boot") || !strings.Contains(text, "EF00  BootTorrent") {
		t.Errorf("sgdisk: %v\n%s", err, said)
	}
	if !strings.HasPrefix(string(disk), "boot program") {
		t.Error("the boot program is gone")
	}
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

package boot

import (
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
)

// The page has the medians of the newest report of each room, and compares with HTTP what loads phase 1 itself.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	room := Room{LinkMbit: 1000, DelayMS: 1, Card: "virtio-net-pci"}
	load := func(chain, file string, bytes int64, seconds float64) Load {
		return Load{Chain: chain, File: file, Protocol: "tftp", Bytes: bytes, Seconds: seconds}
	}
	for i, r := range []Report{
		{Room: room, Loads: []Load{load("http", "vmlinuz", 8e6, 99)}},
		{Room: room, Loads: []Load{
			load("http", "snponly.efi", 200_000, 0.1), load("http", "boot.ipxe", 200, 0.1), load("http", "vmlinuz", 8e6, 1), load("http", "initramfs.img", 8e6, 1),
			load("grub", "shimx64.efi", 1e6, 0.5), load("grub", "grubx64.efi", 4e6, 2), load("grub", "vmlinuz", 8e6, 3), load("grub", "initramfs.img", 8e6, 2),
			load("grub", "vmlinuz", 8e6, 5), load("grub", "initramfs.img", 8e6, 2),
		}},
	} {
		r.Time = time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)
		if _, err := kept.Write(dir, kind, r.Time, r); err != nil {
			t.Fatal(err)
		}
	}
	page, err := Page(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"virtio-net-pci, 1000 Mbit/s, 1 ms in each direction (2026-01-02):",
		"| snponly.efi | the firmware, TFTP | 0.2 | 0.10 | 2.0 |  |", "| initramfs.img | iPXE (snponly.efi), HTTP | 8.0 | 1.00 | 8.0 |  |",
		"| shimx64.efi | the firmware, TFTP | 1.0 | 0.50 | 2.0 |  |", "| grubx64.efi | shim, TFTP | 4.0 | 2.00 | 2.0 |  |",
		"| vmlinuz | GRUB, TFTP | 8.0 | 4.00 | 2.0 |  |", "| initramfs.img | GRUB, TFTP | 8.0 | 2.00 | 4.0 | 3.0 |",
	} {
		if !strings.Contains(page, row+"\n") {
			t.Errorf("no line %q in:\n%s", row, page)
		}
	}
	if strings.Contains(page, "99") || strings.Contains(page, "boot.ipxe") {
		t.Errorf("the page has what it should not:\n%s", page)
	}
	if none, err := Page(t.TempDir()); none != "" || err != nil {
		t.Errorf("without reports: %q, %v", none, err)
	}
}

package efiboot

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

func node(kind, sub byte, content ...byte) []byte {
	return append(binary.LittleEndian.AppendUint16([]byte{kind, sub}, uint16(4+len(content))), content...)
}

var end = node(typeEnd, 0xff)

// partition is a node HD(number, GPT, …, start, …).
func partition(number uint32, start uint64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, number)
	b = binary.LittleEndian.AppendUint64(b, start)
	return node(typeMedia, mediaPartition, append(b, make([]byte, 26)...)...)
}

func option(flags uint32, title string, path ...[]byte) []byte {
	whole := slices.Concat(append(path, end)...)
	b := binary.LittleEndian.AppendUint32(nil, flags)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(whole)))
	for _, c := range append(utf16.Encode([]rune(title)), 0) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return append(b, whole...)
}

func write(t *testing.T, folder, name string, value []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name+global), append([]byte{7, 0, 0, 0}, value...), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOptions(t *testing.T) {
	folder := t.TempDir()
	acpi, pci := node(2, 1, 0xd0, 0x41, 3, 0xa, 0, 0, 0, 0), node(1, 1, 0, 2)
	file := node(typeMedia, mediaFile, []byte("\\\x00E\x00F\x00I\x00\x00\x00")...)
	write(t, folder, "BootOrder", []byte{3, 0, 1, 0, 4, 0, 5, 0, 0, 0})
	write(t, folder, "Boot0000", option(active, "Windows Boot Manager", partition(1, 2048), file))
	write(t, folder, "Boot0001", option(active, "UEFI PXEv4", acpi, pci, node(typeMessaging, 11, make([]byte, 33)...)))
	write(t, folder, "Boot0002", option(active, "not in the order", acpi, pci, node(typeMessaging, 18, make([]byte, 6)...)))
	write(t, folder, "Boot0003", option(active, "debian", acpi, pci, node(typeMessaging, 18, make([]byte, 6)...), partition(2, 4096), file))
	write(t, folder, "Boot0004", option(0, "switched off", partition(1, 2048)))
	write(t, folder, "Boot0005", option(active, "UEFI DVD", acpi, pci, node(typeMessaging, 18, make([]byte, 6)...), node(typeMedia, 2, make([]byte, 20)...)))
	write(t, folder, "Boot0006", option(active, "EFI Internal Shell", node(typeMedia, 7, make([]byte, 16)...), node(typeMedia, 6, make([]byte, 16)...)))
	write(t, folder, "Boot0007", []byte("half"))
	write(t, folder, "Boot0008", option(active, "USB stick", acpi, pci, node(typeMessaging, 5, 1, 0)))
	got, err := Options(folder)
	if err != nil {
		t.Fatal(err)
	}
	var disks, all []string
	for _, o := range got {
		all = append(all, o.Title)
		if o.Disk {
			disks = append(disks, o.String())
		}
	}
	if want := []string{"debian", "UEFI PXEv4", "UEFI DVD", "Windows Boot Manager", "not in the order", "EFI Internal Shell", "USB stick"}; !slices.Equal(all, want) {
		t.Errorf("options %q, want %q", all, want)
	}
	if want := []string{"Boot0003 debian", "Boot0000 Windows Boot Manager", "Boot0002 not in the order"}; !slices.Equal(disks, want) {
		t.Errorf("disks %q, want %q", disks, want)
	}
	if p := got[0].Partition; p == nil || p.Number != 2 || p.Start != 4096 {
		t.Errorf("the partition is %+v, want 2 at 4096", p)
	}
}

func TestSetNext(t *testing.T) {
	folder := t.TempDir()
	for _, number := range []uint16{3, 0xabcd} {
		if err := SetNext(folder, number); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(folder, "BootNext"+global))
		if want := []byte{7, 0, 0, 0, byte(number), byte(number >> 8)}; err != nil || !slices.Equal(b, want) {
			t.Errorf("BootNext is %x, %v; want %x", b, err, want)
		}
	}
	entries, _ := os.ReadDir(folder)
	if len(entries) != 1 {
		t.Errorf("there are %d variables, want BootNext alone", len(entries))
	}
	if err := SetNext(filepath.Join(folder, "missing"), 1); err == nil || !strings.Contains(err.Error(), "BootNext") {
		t.Errorf("error %v, want one that names BootNext", err)
	}
}

func TestNoVariables(t *testing.T) {
	if got, err := Options(t.TempDir()); err != nil || len(got) > 0 {
		t.Errorf("%v, %v; want nothing", got, err)
	}
}

func FuzzOption(f *testing.F) {
	f.Add(option(active, "debian", partition(2, 4096)))
	half, _ := hex.DecodeString("0100000062006400")
	f.Add(half)
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, ok := parse(b); ok && o.Partition != nil && !o.Disk && len(b) < 30 {
			t.Errorf("%+v of %x", o, b)
		}
	})
}

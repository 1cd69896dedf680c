package uki

import (
	"bytes"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
)

func stub(t *testing.T) []byte {
	t.Helper()
	need.File(t, StubFile, "systemd-boot-efi")
	b, err := ReadStub("/", arch.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The sections are where Build says, where Go's reader finds them, and where binutils does.
func TestBuild(t *testing.T) {
	im := Image{
		Stub: stub(t), OSRelease: "ID=boottorrent\n", Cmdline: "console=tty0 quiet", Release: "6.1.0-1-amd64",
		Kernel: bytes.Repeat([]byte("KERNEL"), 5000), Initrd: bytes.Repeat([]byte("INITRD!"), 7001),
	}
	file, sections, err := Build(im)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{
		".osrel": []byte(im.OSRelease), ".cmdline": []byte(im.Cmdline + "\x00"), ".uname": []byte(im.Release),
		".linux": im.Kernel, ".initrd": im.Initrd,
	}
	for _, s := range sections {
		if got := file[s.Offset : s.Offset+s.Size]; !bytes.Equal(got, want[s.Name]) || s.Offset%512 != 0 {
			t.Errorf("%s is not at %d", s.Name, s.Offset)
		}
	}
	parsed, err := pe.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	header := parsed.OptionalHeader.(*pe.OptionalHeader64)
	end := uint32(0)
	for _, s := range parsed.Sections {
		if s.VirtualAddress < end {
			t.Errorf("section %s overlaps the one before", s.Name)
		}
		end = s.VirtualAddress + s.VirtualSize
		if content, ours := want[s.Name]; ours {
			got, err := s.Data()
			if err != nil || !bytes.Equal(got[:s.VirtualSize], content) || s.VirtualAddress%4096 != 0 {
				t.Errorf("section %s at %#x: %v", s.Name, s.VirtualAddress, err)
			}
		}
	}
	if header.SizeOfImage < end || header.SizeOfImage%header.SectionAlignment != 0 {
		t.Errorf("SizeOfImage %#x, the last section ends at %#x", header.SizeOfImage, end)
	}
	foreign(t, file, want)
	again, _, err := Build(im)
	if err != nil || !bytes.Equal(again, file) {
		t.Error("the same parts give other bytes")
	}
}

// foreign has objcopy take the sections out.
func foreign(t *testing.T, file []byte, want map[string][]byte) {
	t.Helper()
	objcopy := need.Command(t, "objcopy", "binutils")
	dir := t.TempDir()
	path := filepath.Join(dir, "image.efi")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, content := range want {
		out := filepath.Join(dir, name)
		if said, err := exec.Command(objcopy, "-O", "binary", "--only-section="+name, path, out).CombinedOutput(); err != nil {
			t.Fatalf("objcopy: %v %s", err, said)
		}
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, content) {
			t.Errorf("objcopy's %s differs: %d bytes, want %d, %v", name, len(got), len(content), err)
		}
	}
}

func TestBadStub(t *testing.T) {
	good := stub(t)
	filled := bytes.Clone(good)
	for i := 0x300; i < 0x400; i++ {
		filled[i] = 1
	}
	for name, tt := range map[string]struct {
		stub []byte
		want string
	}{
		"nothing":            {nil, "no PE file"},
		"a text":             {bytes.Repeat([]byte("hello "), 100), "no PE file"},
		"half":               {good[:len(good)/2], "no PE file"},
		"the headers":        {good[:0x100], "no PE file"},
		"no room for others": {filled, "something behind its section table"},
	} {
		_, _, err := Build(Image{Stub: tt.stub, OSRelease: "x", Release: "x", Kernel: []byte("k"), Initrd: []byte("i")})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	file, _, err := Build(Image{Stub: good, OSRelease: "x", Release: "x", Kernel: []byte("k"), Initrd: []byte("i")})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Build(Image{Stub: file}); err == nil || !strings.Contains(err.Error(), "has a section .linux already") {
		t.Errorf("a unified kernel image as stub: %v", err)
	}
}

func FuzzBuild(f *testing.F) {
	if b, err := os.ReadFile(StubFile); err == nil {
		f.Add(b[:2048])
	}
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, stub []byte) {
		_, _, _ = Build(Image{Stub: stub, OSRelease: "x", Release: "x", Kernel: []byte("k"), Initrd: []byte("i")})
	})
}

// What is read from a medium may be anything.
func FuzzContent(f *testing.F) {
	if stub, err := os.ReadFile(StubFile); err == nil {
		f.Add(stub[:2048], ".text") // short ones are many a second
	}
	f.Add([]byte("MZ"), ".linux")
	f.Fuzz(func(t *testing.T, image []byte, name string) {
		content, err := Content(image, name)
		if err == nil && len(content) > len(image) {
			t.Errorf("%d bytes of %d", len(content), len(image))
		}
	})
}

package bootfiles

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// armImage passes for a kernel of arm64: 64 bytes of header with "ARM\x64" at 56 (Linux, Documentation/arm64/booting.rst).
func armImage(text string) string {
	head := make([]byte, 64)
	copy(head[56:], "ARM\x64")
	return string(head) + text
}

func packed(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// GRUB gets a compressed kernel unpacked, with the signature that it looks for; one that isn't compressed it gets as it is.
func TestKernelForGRUB(t *testing.T) {
	dir := t.TempDir()
	f := New(dir)
	at := filepath.Join(dir, "arm64/vmlinuz")
	named := func() string { return strings.TrimPrefix(f.KernelForGRUB(arch.ARM64), catalog.PathBoot) }
	if got := named(); got != "arm64/vmlinuz" {
		t.Errorf("without a kernel: %s", got)
	}
	write(t, at, armImage("bare"))
	if got, want := named(), strings.TrimPrefix(f.Path(arch.ARM64, "vmlinuz"), catalog.PathBoot); got != want {
		t.Errorf("a bare kernel is %s, want %s", got, want)
	}
	write(t, at, packed(t, armImage("first")))
	first := named()
	for range 2 { // from the file, and from memory
		if got, err := f.Unpacked(first); err != nil || string(got) != armImage("first") {
			t.Errorf("%s: %q, %v", first, got, err)
		}
	}
	write(t, at, packed(t, armImage("second kernel")))
	if _, err := f.Unpacked(first); !errors.Is(err, ErrReplaced) {
		t.Errorf("the one before: %v", err)
	}
	if got, err := f.Unpacked(named()); err != nil || string(got) != armImage("second kernel") {
		t.Errorf("the next one: %q, %v", got, err)
	}
	for _, name := range []string{"vmlinuz.unpacked", "arm64/vmlinuz", "../vmlinuz.unpacked", "0123/initramfs.img.unpacked"} {
		if _, err := f.Unpacked(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want no such file", name, err)
		}
	}
	whole := packed(t, armImage("cut off"))
	write(t, at, whole[:len(whole)-10])
	if _, err := f.Unpacked(named()); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file: %v", err)
	}
}

// A small file that has more in it than any kernel does not fill the memory.
func TestUnpackedIsBounded(t *testing.T) {
	dir := t.TempDir()
	f := New(dir)
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 1<<20)
	_ = copy(piece, armImage(""))
	for range maxUnpacked/len(piece) + 1 {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "arm64/vmlinuz"), b.String())
	named := strings.TrimPrefix(f.KernelForGRUB(arch.ARM64), catalog.PathBoot)
	if got, err := f.Unpacked(named); err == nil || !strings.Contains(err.Error(), "more than 134217728 bytes unpacked") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

package bootfiles

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	f := New(dir)
	write(t, filepath.Join(dir, "vmlinuz"), "kernel")
	write(t, filepath.Join(dir, "arm64/vmlinuz"), "arm kernel")
	write(t, filepath.Join(dir, "secret"), "secret")
	write(t, filepath.Join(dir, "manifest.json"), "{}")
	byContent := func(a arch.Arch) string { return strings.TrimPrefix(f.Path(a, "vmlinuz"), catalog.PathBoot) }
	before := byContent(arch.AMD64)
	for name, want := range map[string]string{
		"vmlinuz": "kernel", "arm64/vmlinuz": "arm kernel", before: "kernel", byContent(arch.ARM64): "arm kernel",
	} {
		file, err := f.Open(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(file)
		if file.Close(); string(got) != want || err != nil || file.Name != "vmlinuz" {
			t.Errorf("%s is %q of %s, %v, want %q", name, got, file.Name, err, want)
		}
	}
	for _, name := range []string{"", "secret", "manifest.json", "../secret", "arm64/../vmlinuz", "amd64/vmlinuz", "arm64/arm64/vmlinuz", "initramfs.img", "0123456789ab/initramfs.img", "x/vmlinuz"} {
		if _, err := f.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v, want no such file", name, err)
		}
	}
	write(t, filepath.Join(dir, "vmlinuz"), "another kernel")
	if _, err := f.Open(before); !errors.Is(err, ErrReplaced) {
		t.Errorf("by the content it had before: %v", err)
	}
	if byContent(arch.AMD64) == before {
		t.Error("its path is still that of its old content")
	}
	if got := f.Path(arch.ARM64, "initramfs.img"); got != "/boot/arm64/initramfs.img" {
		t.Errorf("what is not there is at %s", got)
	}
	if _, err := New("").Open("vmlinuz"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
}

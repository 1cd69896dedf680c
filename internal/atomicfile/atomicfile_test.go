package atomicfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"first", "second"} {
		if err := Write(file, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		info, statErr := os.Stat(file)
		if err != nil || statErr != nil || string(got) != content || info.Mode() != 0o640 {
			t.Errorf("%q, %v, %v; want %q", got, err, info.Mode(), content)
		}
	}
}

// On a disk that is full, the file that was there stays, and nothing else does. The temporary one is on that disk too, wherever
// TMPDIR is.
func TestFullDisk(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	file := filepath.Join(dir, "file")
	if err := Write(file, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, []byte(strings.Repeat("x", 1<<20)), 0o644); err == nil {
		t.Error("a megabyte is on a disk of 64 KiB")
	}
	entries, err := os.ReadDir(dir)
	if got, _ := os.ReadFile(file); string(got) != "before" || len(entries) != 1 {
		t.Errorf("the file has %.20q; the folder has %v, %v", got, entries, err)
	}
}

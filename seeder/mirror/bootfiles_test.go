package mirror

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// mount makes a folder a file system of its own.
func mount(t *testing.T, dir string) {
	t.Helper()
	need.Namespaces(t)
	must(t, os.MkdirAll(dir, 0o755))
	must(t, unix.Mount("none", dir, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

// pooled are boot files with a kernel in the pool, and the manifest that lists it.
func pooled(t *testing.T, dir, text string) (*bootFiles, *catalog.BootManifest) {
	t.Helper()
	b := newBootFiles(filepath.Join(dir, "pool"), filepath.Join(dir, "image"), slog.New(slog.DiscardHandler))
	must(t, os.MkdirAll(b.pool, 0o755))
	sum := sumOf([]byte(text))
	must(t, os.WriteFile(b.path(sum), []byte(text), 0o644))
	return b, &catalog.BootManifest{Files: []catalog.BootFile{{Path: "vmlinuz", Size: int64(len(text)), SHA256: sum}}}
}

// Where the pool is on another file system, copies that are right are left as they are; one that is not is replaced.
func TestPoolOnAnotherFileSystem(t *testing.T) {
	dir := t.TempDir()
	mount(t, filepath.Join(dir, "pool"))
	b, m := pooled(t, dir, "kernel")
	place := func() {
		t.Helper()
		swap, err := b.prepare(m)
		must(t, err)
		must(t, swap())
	}
	place()
	at := filepath.Join(b.images, "vmlinuz")
	before, err := os.Stat(at)
	must(t, err)
	if !b.isPlaced(m) {
		t.Error("a copy is not taken for what it is")
	}
	place()
	if now, err := os.Stat(at); err != nil || !os.SameFile(before, now) {
		t.Errorf("it was copied again (%v)", err)
	}
	if again := newBootFiles(b.pool, b.images, b.log); !again.isPlaced(m) {
		t.Error("after a restart the copy is not taken for what it is")
	}

	must(t, os.WriteFile(at, []byte("kernal"), 0o644))
	if b.isPlaced(m) {
		t.Error("a damaged copy is taken for right")
	}
	place()
	info, err := os.Stat(at)
	must(t, err)
	must(t, os.WriteFile(at, []byte("kernal"), 0o644))
	must(t, os.Chtimes(at, info.ModTime(), info.ModTime()))
	b.copies["vmlinuz"] = rightCopy{m.Files[0].SHA256, info}
	if b.forgetCopies(); b.isPlaced(m) {
		t.Error("what no time tells is not found by reading")
	}
}

// A folder of images that is a mount point stays as it is, and the error says so.
func TestImagesAreAMountPoint(t *testing.T) {
	dir := t.TempDir()
	mount(t, filepath.Join(dir, "image"))
	other := filepath.Join(dir, "image", "other")
	must(t, os.WriteFile(other, nil, 0o644))
	b, m := pooled(t, dir, "kernel")
	swap, err := b.prepare(m)
	must(t, err)
	if err := swap(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("it says %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("what was there is gone: %v", err)
	}
	if _, err := os.Stat(b.images + nextEnding); !os.IsNotExist(err) {
		t.Errorf("what was made beside it stays: %v", err)
	}
}

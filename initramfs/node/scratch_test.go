package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

// What a boot that was killed left mounted, one in the other and under names with spaces, is taken away; what is beside it stays.
func TestClearScratch(t *testing.T) {
	need.Namespaces(t) // to mount
	n := &download{systems: t.TempDir()}
	inner := filepath.Join(n.scratch(), "over lay", "in\tside")
	beside := n.scratch() + "2"
	for _, dir := range []string{filepath.Dir(inner), inner, beside} { // inner is made in the file system of the one before
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	}
	kept := filepath.Join(beside, "file")
	if err := os.WriteFile(kept, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := n.clearScratch(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(n.scratch()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is still something: %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

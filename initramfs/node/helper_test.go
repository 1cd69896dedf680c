package node

import (
	"errors"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// The helper has the memory that the node's own system leaves, and where that needs what the helper has, the helper gives it up.
func TestMemoryOfTheHelper(t *testing.T) {
	n, _ := newNode(t, "http://127.0.0.1:1")
	if err := n.spare.allows(1 << 10); err != nil {
		t.Error(err)
	}
	if err := n.spare.allows(1 << 50); err == nil || !strings.Contains(err.Error(), "too little memory") {
		t.Errorf("%v", err)
	}
	small, huge := kexec("small"), kexec("huge")
	small.InfoHash, huge.InfoHash = catalog.InfoHash{1}, catalog.InfoHash{2}
	small.Size, huge.Size = 1<<20, 1<<50
	for _, s := range []catalog.System{small, huge} {
		n.download.lists[s.InfoHash] = catalog.FileList{{Path: "vmlinuz", Size: s.Size}}
	}
	write(t, n.Systems+"/there", nil)
	if err := n.preflight(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	free, err := launch.Available()
	if err != nil {
		t.Fatal(err)
	}
	var memory *launch.MemoryError
	if err := n.spare.allows(1 << 20); err != nil {
		t.Errorf("beside a small system: %v", err)
	}
	if err := n.spare.allows(2 * free); !errors.As(err, &memory) || memory.System != "small" {
		t.Errorf("more than that leaves: %v", err)
	}
	if err := n.preflight(t.Context(), huge); !errors.As(err, &memory) {
		t.Errorf("a huge system: %v", err)
	}
}

func TestTakesAll(t *testing.T) {
	if takesAll(kexec("linux")) || takesAll(catalog.System{Launch: catalog.Launch{Bin: &catalog.Bin{}}}) {
		t.Error("what is no virtual machine")
	}
	for want, args := range map[bool][]string{true: {"-cdrom", "x.iso"}, false: {"-m", "512"}} {
		if got := takesAll(catalog.System{Launch: catalog.Launch{QEMU: &catalog.QEMU{Args: args}}}); got != want {
			t.Errorf("%q: %v", args, got)
		}
	}
}

// All engines of a node have the same limits, until the site changes them.
func TestSharedLimits(t *testing.T) {
	var s sharedLimits
	if s.get() != nil {
		t.Error("there are limits before any were set")
	}
	first := s.set(catalog.Limits{Upload: 1})
	if s.set(catalog.Limits{Upload: 1}) != first || s.get() != first {
		t.Error("the same limits are others")
	}
	if s.set(catalog.Limits{Upload: 2}) == first {
		t.Error("other limits are the same")
	}
}

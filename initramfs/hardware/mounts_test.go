package hardware

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMounts(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"proc/filesystems":                "nodev\ttmpfs\n\tsquashfs\n",
		"lib/modules/6.1/modules.dep":     "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz\nkernel/fs/jbd2/jbd2.ko.xz:\n",
		"lib/modules/6.1/modules.builtin": "kernel/fs/erofs/erofs.ko\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for fs, want := range map[string]bool{"squashfs": true, "ext4": true, "erofs": true, "xfs": false, "": false} {
		if got := tree(root).mounts(fs, "6.1"); got != want {
			t.Errorf("%q: %v", fs, got)
		}
	}
	if tree(t.TempDir()).mounts("ext4", "6.1") {
		t.Error("a kernel that says nothing mounts ext4")
	}
}

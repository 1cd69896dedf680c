package launch

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/root"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
)

func machineFiles(t *testing.T) *machinefiles.Tree {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "preseed.cfg"), []byte("d-i\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	files, problems := machinefiles.Read(dir, machinefiles.Owner{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return files
}

// A machine's files are one more initrd, the last one, also of a system that has none.
func TestMachineFilesAreAnInitrd(t *testing.T) {
	files := machineFiles(t)
	archive, err := files.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		job  Job
		want string
	}{
		{system(t, "", "K"), string(archive)},
		{system(t, "", "K", "abcde"), "abcde\x00\x00\x00" + string(archive)},
		{system(t, "", "K", "abcd", "e"), "abcde\x00\x00\x00" + string(archive)},
	} {
		tt.job.MachineFiles = files
		var k fakeKernel
		m := k.method(t)
		for range 2 {
			if err := m.Load(t.Context(), tt.job); err != nil {
				t.Fatal(err)
			}
			if k.initrd != tt.want {
				t.Errorf("the initrd is %q, want %q", k.initrd, tt.want)
			}
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(tt.job.Dir), "files-*")); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

func TestRootGetsMachineFiles(t *testing.T) {
	files := machineFiles(t)
	var got *machinefiles.Tree
	m := &rootMethod{
		memory:  func() (int64, int64, error) { return 1 << 30, 1 << 30, nil },
		prepare: func(_ context.Context, c root.Config) (*root.Prepared, error) { got = c.Files; return nil, nil },
	}
	job := Job{System: catalog.System{Launch: catalog.Launch{Root: &catalog.Root{}}}, MachineFiles: files}
	if err := m.Load(t.Context(), job); err != nil || got != files {
		t.Errorf("it gets %v, %v", got, err)
	}
}

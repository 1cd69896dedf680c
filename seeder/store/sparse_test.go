package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// allocated is what a file takes on the disk, in bytes.
func allocated(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// An image of 2 GiB of which 4 KiB were written takes hardly more in the store, and a piece of it is all that nodes fetch.
func TestSparse(t *testing.T) {
	const size, at = 2 << 30, 1<<30 + 8<<10
	sys := site.System{Name: "disk", Title: "disk", Arch: "amd64", Dir: t.TempDir(), Files: []string{"disk.img"},
		Launch: catalog.Launch{Method: catalog.MethodBin, Bin: &catalog.Bin{Program: "disk.img"}}}
	f, err := os.Create(filepath.Join(sys.Dir, "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	written := content(1, 4<<10)
	if _, err := f.WriteAt(written, at); err != nil || f.Truncate(size) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	v := importSystem(t, open(t, t.TempDir()), sys)
	copied := filepath.Join(v.Dir, "disk/disk.img")
	if got := allocated(t, copied); got == 0 || got > 64<<10 {
		t.Errorf("the copy takes %d bytes", got)
	}
	if got, want := v.System.ToFetch(), swarm.PieceLength(size); v.System.Size != size || got != want {
		t.Errorf("%d of %d bytes are to be fetched, want %d", got, v.System.Size, want)
	}
	stored, err := os.Open(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	got := make([]byte, 16<<10)
	if _, err := stored.ReadAt(got, at-4<<10); err != nil || !bytes.Equal(got, slice(written, 4<<10, 16<<10)) {
		t.Errorf("the copy is not what was written (%v)", err)
	}
	// The SHA-256 of the list is right if a reader of all bytes says the same.
	if err := swarm.CheckMetainfo(v.Torrent, v.System, v.Files); err != nil {
		t.Error(err)
	}
}

// slice is size zeros with b at an offset.
func slice(b []byte, at, size int) []byte {
	all := make([]byte, size)
	copy(all[at:], b)
	return all
}

// What is written of zeros, at whatever offset, is the same file.
func TestSparseWriter(t *testing.T) {
	const block = sparseBlock
	all := make([]byte, 10*block+100)
	copy(all[block/2:], content(1, block))     // across a boundary
	copy(all[5*block:], content(2, block))     // a block
	copy(all[10*block+50:], []byte("at last")) // in the last, which is shorter
	for _, step := range []int{1000, block, 3*block + 1, len(all)} {
		f, err := os.Create(filepath.Join(t.TempDir(), "f"))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(int64(len(all))); err != nil {
			t.Fatal(err)
		}
		w := &sparseWriter{file: f}
		for at := 0; at < len(all); at += step {
			part := all[at:min(len(all), at+step)]
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, all) {
			t.Errorf("in steps of %d: %v, or another content", step, err)
		}
		f.Close()
	}
}

// A sparse system needs the room that it takes, not that it seems to take.
func TestSparseFits(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatalf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	sys := makeSystem(t, "tiny", file{"vmlinuz", content(1, 1000)})
	if err := os.Truncate(filepath.Join(sys.Dir, "vmlinuz"), 64<<20); err != nil {
		t.Fatal(err)
	}
	importSystem(t, open(t, filepath.Join(dir, "store")), sys)
}

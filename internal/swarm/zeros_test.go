package swarm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

const sparsePiece = 256 << 10

// sparseSample is a disk image of 64 MiB, of which three blocks were written, behind a file that ends within a piece.
func sparseSample(t testing.TB) *sampleSystem {
	t.Helper()
	disk := make([]byte, 64<<20)
	for _, at := range []int{0, 20<<20 + 4096, 40<<20 - 1010} {
		copy(disk[at:], bytes.Repeat([]byte("written"), 500))
	}
	return sampleOf(t, sparsePiece, []string{"kernel", "disk.img", "last"}, [][]byte{bytes.Repeat([]byte("k"), 1000), disk, make([]byte, 5000)})
}

// sparseFetch is what is transferred of it: the pieces with a written block, one of which lies across a boundary.
const sparseFetch = 4 * sparsePiece

func TestZeros(t *testing.T) {
	for _, c := range []struct {
		content []byte
		want    int64
	}{
		{make([]byte, 4*16384), 4 * 16384},
		{make([]byte, 3*16384+5), 3*16384 + 5},
		{append(make([]byte, 16384), 1), 16384},
		{append([]byte{1}, make([]byte, 16384+100)...), 101},
		{append([]byte{1}, make([]byte, 100)...), 0},
	} {
		if got := Zeros(sums(c.content, 16384), 16384, int64(len(c.content))); got != c.want {
			t.Errorf("%d bytes: %d in pieces of zeros, want %d", len(c.content), got, c.want)
		}
	}
}

// onDisk is how many bytes a file takes on its file system.
func onDisk(t testing.TB, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// onTmpfs is a folder on a tmpfs, as nodes keep systems on.
func onTmpfs(t testing.TB) string {
	t.Helper()
	need.Root(t)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=128m"); err != nil {
		t.Fatalf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Zeros are neither sent nor kept: what comes over the wire is what was written of an image, and so is what it takes of a node's
// memory, also after it was verified and given to others.
func TestSparseImageStaysSparse(t *testing.T) {
	t.Parallel()
	s := sparseSample(t)
	if got := s.system.ToFetch(); got != sparseFetch {
		t.Fatalf("%d bytes are to be fetched, want %d", got, sparseFetch)
	}
	seeder := newSeeder(t, s, Config{})
	node, dir := newNode(t, "127.0.0.221"), onTmpfs(t)
	var last Stats
	if err := node.Fetch(t.Context(), s.source(dir, seeder.addrPort()), func(s Stats) { last = s }); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
	if last.Size != sparseFetch || last.Done != sparseFetch || last.FromSeeder != sparseFetch {
		t.Errorf("%d of %d bytes, %d from the seeder; want %d", last.Done, last.Size, last.FromSeeder, sparseFetch)
	}
	second, to := newNode(t, "127.0.0.222"), onTmpfs(t)
	if err := second.Fetch(t.Context(), s.source(to, node.addrPort()), nil); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, to)
	for _, dir := range []string{dir, to} {
		// Blocks of zeros in pieces that were transferred are holes as well: of each piece it takes a block of 16 KiB or two.
		if got := onDisk(t, filepath.Join(dir, "demo/disk.img")); got == 0 || got > 5*16<<10 {
			t.Errorf("the image takes %d bytes of memory", got)
		}
		if got := onDisk(t, filepath.Join(dir, "demo/last")); got != 0 {
			t.Errorf("a file of zeros takes %d bytes of memory", got)
		}
	}
}

// A system that is nothing but zeros is here at once.
func TestNothingButZeros(t *testing.T) {
	t.Parallel()
	s := sampleOf(t, sparsePiece, []string{"disk.img"}, [][]byte{make([]byte, 3<<20+7)})
	node, dir := newNode(t, "127.0.0.223"), t.TempDir()
	if err := node.Fetch(t.Context(), s.source(dir), nil); err != nil { // from nobody
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
	if got, _ := node.Stats(s.system.InfoHash); got.Percent() != 100 {
		t.Errorf("%v %% are here: %+v", got.Percent(), got.Transfer)
	}
}

// What lies where zeros belong, in files that were there before, is not taken for zeros.
func TestZerosOverOtherData(t *testing.T) {
	t.Parallel()
	s := sparseSample(t)
	seeder := newSeeder(t, s, Config{})
	node, dir := newNode(t, "127.0.0.224"), t.TempDir()
	foreign := make([]byte, 10<<20)
	copy(foreign[5<<20:], "something else")
	writeFile(t, filepath.Join(dir, "demo/disk.img"), foreign)
	if err := node.Fetch(t.Context(), s.source(dir, seeder.addrPort()), nil); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
}

// Clients that know nothing of this ask for pieces of zeros, and get them, from a seeder and from a node.
func TestForeignClientsGetZeros(t *testing.T) {
	aria2c := need.Command(t, "aria2c", "aria2")
	t.Parallel()
	s := sparseSample(t)
	seeder := newSeeder(t, s, Config{})
	node := newNode(t, "127.0.0.225")
	if err := node.Fetch(t.Context(), s.source(t.TempDir(), seeder.addrPort()), nil); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]*Engine{"seeder": seeder, "node": node} {
		dir := t.TempDir()
		path := filepath.Join(dir, "t.torrent")
		writeFile(t, path, s.torrent)
		ctx, cancel := context.WithTimeout(t.Context(), need.Patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, aria2c, "--no-conf", "--dir="+dir, "--seed-time=0", "--enable-dht=false", "--bt-enable-lpd=false",
			"--listen-port=6990-6999", "--bt-tracker="+newTracker(t, from.addrPort()).url(), path)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("aria2c from the %s: %v\n%s", name, err, out)
		}
		s.checkFiles(t, dir)
	}
}

// A node takes pieces of zeros from who has everything else as well, and its picker does not count them as work.
func TestPickerSkipsZeros(t *testing.T) {
	s := sparseSample(t)
	l, err := parseMetainfo(s.torrent)
	if err != nil {
		t.Fatal(err)
	}
	st, err := openFetch(l, t.TempDir(), newFileCache(2))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	missing := 0
	for i := range st.pieces {
		if st.missing(i) {
			missing++
		}
	}
	if missing != sparseFetch/sparsePiece || st.hashing() || len(st.pieces)-st.blank != missing {
		t.Errorf("%d pieces are missing of %d, of which %d are zeros; something is to be hashed: %t", missing, len(st.pieces), st.blank, st.hashing())
	}
	b := make([]byte, sparsePiece)
	if n, err := st.pieces[10].ReadAt(b, 0); n != len(b) || err != nil || !bytes.Equal(b, make([]byte, sparsePiece)) {
		t.Errorf("a piece of zeros: %d bytes, %v", n, err)
	}
	if n, err := st.pieces[10].ReadAt(b, 100); n != len(b)-100 || err != io.EOF {
		t.Errorf("a piece of zeros from byte 100 on: %d bytes, %v", n, err)
	}
}

// A block of zeros replaces what was there.
func TestZerosReplaceWhatWasThere(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 64<<10)
	clear(content[16<<10 : 48<<10])
	s := sampleOf(t, 64<<10, []string{"a", "b"}, [][]byte{content[:20<<10], content[20<<10:]})
	l, err := parseMetainfo(s.torrent)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	st, err := openFetch(l, dir, newFileCache(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{bytes.Repeat([]byte("wrong"), 20000)[:64<<10], content} {
		for at := 0; at < len(b); at += 16 << 10 {
			if n, err := st.pieces[0].WriteAt(b[at:at+16<<10], int64(at)); n != 16<<10 || err != nil {
				t.Fatal(n, err)
			}
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
}

// A catalog and a torrent that differ in what is zeros don't belong together.
func TestZerosAreTheCatalogs(t *testing.T) {
	s := sparseSample(t)
	s.system.Zeros--
	want := fmt.Sprintf("%d of its bytes are in pieces of zeros", s.system.Zeros+1)
	if err := CheckMetainfo(s.torrent, s.system, s.files); err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(s.dir); err != nil {
		t.Error(err)
	}
}

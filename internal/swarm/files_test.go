package swarm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// openBelow is how many files below dir this process has open.
func openBelow(t testing.TB, dir string) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if path, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(path, dir) {
			n++
		}
	}
	return n
}

// manyFiles is a system of so many small files in folders of a hundred.
func manyFiles(t testing.TB, n int) *sampleSystem {
	t.Helper()
	names, contents := make([]string, n), make([][]byte, n)
	for i := range n {
		names[i] = fmt.Sprintf("%03d/file %d", i/100, i)
		contents[i] = []byte(strings.Repeat(names[i]+"\n", i%7))
	}
	return sampleOf(t, 64<<10, names, contents)
}

// A system of more files than a process may have open: few are, on either side, while it is fetched and given away.
func TestManyFiles(t *testing.T) {
	// On a tmpfs, as on nodes, if there is one: disks take half a minute for so many files.
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm")
	}
	s := manyFiles(t, 20_000)
	seeder := newSeeder(t, s, Config{})
	node, dir := newNode(t, "127.0.0.231"), t.TempDir()
	most := 0
	err := node.Fetch(t.Context(), s.source(dir, seeder.addrPort()), func(Stats) {
		most = max(most, openBelow(t, dir), openBelow(t, s.dir))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
	// What is in use at the moment is never closed, so there may be some more for that time.
	if most == 0 || most > maxOpenFiles+20 {
		t.Errorf("%d files were open at a time, want at most %d", most, maxOpenFiles)
	}
	node.Remove(s.system.InfoHash)
	if n := openBelow(t, dir); n != 0 {
		t.Errorf("%d files are open after the torrent was removed", n)
	}
}

// The Go runtime raises the limit of open files at the start (package os), and gives programs that are started their own.
func TestOpenFilesLimit(t *testing.T) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	if lim.Cur != lim.Max {
		t.Errorf("at most %d files can be open, and the hard limit is %d", lim.Cur, lim.Max)
	}
}

// What is in use stays open, whatever else is opened; what is not is closed, least recently used first.
func TestFileCache(t *testing.T) {
	s := manyFiles(t, 20)
	l, err := parseMetainfo(s.torrent)
	if err != nil {
		t.Fatal(err)
	}
	cache := newFileCache(3)
	st, err := openSeed(l, s.dir, cache)
	if err != nil {
		t.Fatal(err)
	}
	use := func(i int, do func()) {
		t.Helper()
		err := cache.use(&st.files[i], func(f *os.File) error {
			do()
			_, err := f.Stat() // fails if it is closed
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	nothing := func() {}
	use(0, func() {
		for i := range 20 {
			use(i, nothing)
		}
	})
	if n := openBelow(t, s.dir); n != 3 {
		t.Errorf("%d files are open, want 3", n)
	}
	use(17, nothing)
	use(1, nothing)
	for i, want := range map[int]bool{17: true, 1: true, 18: false, 19: true, 0: false} {
		if got := cache.open[&st.files[i]] != nil; got != want {
			t.Errorf("file %d is open: %t, want %t", i, got, want)
		}
	}
	use(2, func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if n := openBelow(t, s.dir); n != 0 {
		t.Errorf("%d files are open after all were closed", n)
	}
	failed := errors.New("failed")
	if err := cache.use(&st.files[0], func(*os.File) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	var users sync.WaitGroup
	for i := range 200 {
		users.Go(func() { use(i%20, nothing) })
	}
	users.Wait()
	if n := openBelow(t, s.dir); n > 3 {
		t.Errorf("%d files are open, want 3", n)
	}
}

// A file that is another one when it is opened again, or was written to, is not what was hashed.
func TestSeedNoticesReplacedFiles(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", make([]byte, 1000), 0o644), os.Rename(path+".new", path))
		},
		"written to": func(path string) error { return os.WriteFile(path, make([]byte, 1000), 0o644) },
		"shortened":  func(path string) error { return os.Truncate(path, 5) },
		"gone":       os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSample(t, 64<<10, 1000, 2000)
			l, err := parseMetainfo(s.torrent)
			if err != nil {
				t.Fatal(err)
			}
			st, err := openSeed(l, s.dir, newFileCache(1))
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			b := make([]byte, 100)
			if _, err := st.pieces[0].ReadAt(b, 0); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(s.dir, "demo/vmlinuz")
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			if _, err := st.pieces[0].ReadAt(b, 1500); err != nil { // the other file, in whose place this one is closed
				t.Fatal(err)
			}
			if _, err := st.pieces[0].ReadAt(b, 0); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Once all is here no file is open for writing, so that a program among the files can be executed.
func TestFetchedProgramCanBeExecuted(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	s := sampleOf(t, 64<<10, []string{"program"}, [][]byte{program})
	seeder := newSeeder(t, s, Config{})
	node, dir := newNode(t, "127.0.0.232"), t.TempDir()
	if err := node.Fetch(t.Context(), s.source(dir, seeder.addrPort()), nil); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "demo/program"), os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// A read lease is refused as long as somebody has the file open for writing (fcntl(2), F_SETLEASE).
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		t.Errorf("the file is still open for writing: %v", err)
	}
}

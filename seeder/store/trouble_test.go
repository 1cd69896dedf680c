package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"golang.org/x/sys/unix"
)

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	kernel := file{"vmlinuz", content(1, 300<<10)}
	sys := makeSystem(t, "tiny", kernel)
	first := importSystem(t, s, sys)
	for _, name := range []string{tempPrefix + "half/tiny/vmlinuz", strings.Repeat("ab", 20) + "/tiny/vmlinuz", "foreign/file"} {
		write(t, filepath.Join(dir, name), []byte("left by a crash"))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir)
	if got, want := entries(t, s), []string{first.System.InfoHash.String(), "foreign"}; !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart the store has %v, want %v", got, want)
	}
	v, read := reads(t, s, sys)
	if read {
		t.Error("the system is read again")
	}
	if !reflect.DeepEqual(v.System, first.System) || v.Dir != first.Dir {
		t.Errorf("got  %+v\nwant %+v", v, first)
	}
	if !bytes.Equal(v.Torrent, first.Torrent) {
		t.Error("it has another torrent")
	}
	sys.Title = "Another title"
	if v, read := reads(t, s, sys); read || v.System.Title != sys.Title || v.System.InfoHash != first.System.InfoHash {
		t.Errorf("with another title: read %v, %+v", read, v.System)
	}
}

// TestStoredWithoutPieceSums has a version that was stored when there were no SHA-256 sums of pieces: it is offered without them, not
// read again.
func TestStoredWithoutPieceSums(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	sys := makeSystem(t, "tiny", file{"vmlinuz", content(1, 300<<10)})
	first := importSystem(t, s, sys)
	o, _, err := s.index.origin("tiny")
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := s.index.version(o.InfoHash)
	if err != nil {
		t.Fatal(err)
	}
	r.PieceSums = nil
	if err := s.index.put("tiny", o, r); err != nil {
		t.Fatal(err)
	}
	v, read := reads(t, s, sys)
	if read || v.System.PieceSums != "" || v.System.InfoHash != first.System.InfoHash {
		t.Errorf("read again: %t; %+v", read, v.System)
	}
	if err := swarm.CheckMetainfo(v.Torrent, v.System, v.Files); err != nil {
		t.Error(err)
	}
}

// TestSameContent touches a file: it is read again, and is the same version.
func TestSameContent(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	kernel := file{"vmlinuz", content(1, 1000)}
	sys := makeSystem(t, "tiny", kernel)
	first := importSystem(t, s, sys)
	write(t, filepath.Join(sys.Dir, kernel.path), kernel.body)
	v, read := reads(t, s, sys)
	if !read || v.System.InfoHash != first.System.InfoHash {
		t.Errorf("read %v, infohash %s, want %s", read, v.System.InfoHash, first.System.InfoHash)
	}
	if _, read := reads(t, s, sys); read {
		t.Error("read a third time")
	}
	if got := entries(t, s); len(got) != 1 {
		t.Errorf("the store has %v", got)
	}
}

func TestDamagedStore(t *testing.T) {
	kernel, initrd := file{"vmlinuz", content(1, 1000)}, file{"initrd", content(2, 1000)}
	damage := map[string]func(v Version) error{
		"file removed":    func(v Version) error { return os.Remove(filepath.Join(v.Dir, "tiny/initrd")) },
		"version removed": func(v Version) error { return os.RemoveAll(v.Dir) },
		"file overwritten": func(v Version) error {
			return os.WriteFile(filepath.Join(v.Dir, "tiny/initrd"), content(3, 1000), 0o644)
		},
		"file cut off": func(v Version) error { return os.Truncate(filepath.Join(v.Dir, "tiny/initrd"), 10) },
	}
	for name, damage := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			sys := makeSystem(t, "tiny", kernel, initrd)
			v := importSystem(t, s, sys)
			if err := os.Chmod(filepath.Join(v.Dir, "tiny/initrd"), 0o644); err != nil { // stored files are read-only
				t.Fatal(err)
			}
			if err := damage(v); err != nil {
				t.Fatal(err)
			}
			checkStored(t, importSystem(t, s, sys), kernel, initrd)
		})
	}
}

func TestDamagedIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, indexFile), bytes.Repeat([]byte("damage"), 10000))
	s := open(t, dir)
	kernel := file{"vmlinuz", content(1, 1000)}
	checkStored(t, importSystem(t, s, makeSystem(t, "tiny", kernel)), kernel)
}

func TestSecondSeeder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	_, err := Open(dir, discard())
	if err == nil || !strings.Contains(err.Error(), "another seeder serves this site") {
		t.Errorf("second Open: %v", err)
	}
}

// TestChanging overwrites a file while it is read: once, then each time.
func TestChanging(t *testing.T) {
	kernel := file{"vmlinuz", content(1, 1000)}
	last := file{"initrd", content(2, 8<<20)}
	for name, always := range map[string]bool{"once": false, "always": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			sys := makeSystem(t, "tiny", kernel, file{"initrd", content(3, 8<<20)})
			changes := 0
			v, err := s.Import(t.Context(), sys, func(_ string, done, total int64) {
				if done > 1000 && done < total && (changes == 0 || always) {
					changes++
					write(t, filepath.Join(sys.Dir, "initrd"), last.body)
				}
			})
			var changed *changedError
			switch {
			case always && (!errors.As(err, &changed) || changed.file != "initrd"):
				t.Errorf("got %v", err)
			case !always && err != nil:
				t.Error(err)
			case !always:
				checkStored(t, v, kernel, last)
			}
			if got := entries(t, s); always && len(got) != 0 {
				t.Errorf("the store has %v", got)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	sys := makeSystem(t, "tiny", file{"vmlinuz", content(1, 32<<20)})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Import(ctx, sys, func(string, int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := entries(t, s); len(got) != 0 {
		t.Errorf("the store has %v", got)
	}
}

func TestBadSystems(t *testing.T) {
	s := open(t, t.TempDir())
	kernel := file{"vmlinuz", content(1, 1000)}
	tests := map[string]func(sys *site.System) error{
		"no bytes":       func(sys *site.System) error { return os.Truncate(filepath.Join(sys.Dir, "vmlinuz"), 0) },
		"file missing":   func(sys *site.System) error { return os.Remove(filepath.Join(sys.Dir, "vmlinuz")) },
		"folder missing": func(sys *site.System) error { return os.RemoveAll(sys.Dir) },
		"not a file": func(sys *site.System) error {
			sys.Files = []string{"fifo"}
			return unix.Mkfifo(filepath.Join(sys.Dir, "fifo"), 0o644)
		},
		"link out": func(sys *site.System) error {
			sys.Files = append(sys.Files, "link")
			return os.Symlink("../../../../../etc/hostname", filepath.Join(sys.Dir, "link"))
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			sys := makeSystem(t, "tiny", kernel)
			if err := spoil(&sys); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Import(t.Context(), sys, nil); err == nil || !strings.Contains(err.Error(), "tiny") {
				t.Errorf("got %v", err)
			}
			if got := entries(t, s); len(got) != 0 {
				t.Errorf("the store has %v", got)
			}
		})
	}
}

// TestDiskFull stores on a file system of 8 MiB: more than fits, and then what fits no more while it is stored.
func TestDiskFull(t *testing.T) {
	need.Namespaces(t)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatalf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := open(t, filepath.Join(dir, "store"))
	check := func(err error, size string) {
		t.Helper()
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "its copy needs "+size+" in "+s.dir) {
			t.Errorf("got %v", err)
		}
		if got := entries(t, s); len(got) != 0 {
			t.Errorf("the store has %v", got)
		}
	}
	_, err := s.Import(t.Context(), makeSystem(t, "big", file{"vmlinuz", content(2, 9<<20)}), func(string, int64, int64) {
		t.Error("storing was begun")
	})
	check(err, "9.0 MiB")

	_, err = s.Import(t.Context(), makeSystem(t, "tiny", file{"vmlinuz", content(1, 6<<20)}), func(_ string, done, _ int64) {
		if done <= 256<<10 {
			write(t, filepath.Join(dir, "other"), make([]byte, 4<<20))
		}
	})
	check(err, "6.0 MiB")
}

// TestClone stands in for a file system that shares blocks: what is stored is what the file was when it was cloned.
func TestClone(t *testing.T) {
	s := open(t, t.TempDir())
	s.clone = func(dst, src *os.File) error {
		if _, err := io.Copy(dst, src); err != nil {
			return err
		}
		_, err := dst.Seek(0, io.SeekStart)
		return err
	}
	kernel, initrd := file{"vmlinuz", content(1, 1000)}, file{"initrd", content(2, 1<<20)}
	sys := makeSystem(t, "tiny", kernel, initrd)
	v := importSystem(t, s, sys)
	checkStored(t, v, kernel, initrd)

	s.clone = cloneFile
	other := importSystem(t, open(t, t.TempDir()), sys)
	if !reflect.DeepEqual(v.System, other.System) {
		t.Errorf("cloned %+v\ncopied %+v", v.System, other.System)
	}
}

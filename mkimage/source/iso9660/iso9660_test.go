package iso9660

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/boottorrent/boottorrent/internal/need"
)

// tree makes a folder that is hard for ISO 9660: long names, deep folders, links, many files, a file of several sectors.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	deep := strings.Repeat("deeper than eight/", 12) + "end"
	content := make([]byte, 3*sector+17)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content) // never fails
	for name, data := range map[string][]byte{
		"live/filesystem.squashfs":         content,
		deep:                               []byte("deep"),
		"empty":                            nil,
		strings.Repeat("n", 240):           []byte("long name"),
		"Ünïcödé and spaces.Tar.GZ":        []byte("unicode"),
		"dir/" + strings.Repeat("x ", 120): []byte("in a continuation"),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		path := filepath.Join(dir, "many", fmt.Sprintf("file number %d", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(path), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"link": "live/filesystem.squashfs", "absolute": "/live/filesystem.squashfs", "out": "../../../../etc/passwd",
		"many/up": "../live/./filesystem.squashfs", "loop": "loop", "folder": "live", "nowhere": strings.Repeat("very long/", 60) + "target",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// xorriso makes an image of a folder.
func xorriso(t *testing.T, dir string, options ...string) string {
	t.Helper()
	tool := need.Command(t, "xorriso", "xorriso")
	out := filepath.Join(t.TempDir(), "x.iso")
	args := append([]string{"-as", "mkisofs", "-quiet", "-o", out, "-V", "A LABEL"}, options...)
	if said, err := exec.Command(tool, append(args, dir)...).CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v\n%s", err, said)
	}
	return out
}

func open(t *testing.T, path string) *FS {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := New(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

// What xorriso wrote with Rock Ridge is read as it is on the disk, links included.
func TestRockRidge(t *testing.T) {
	dir := tree(t)
	fsys := open(t, xorriso(t, dir, "-R"))
	if fsys.Label != "A LABEL" {
		t.Errorf("label %q", fsys.Label)
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			want, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if got, err := fsys.ReadLink(name); got != want || err != nil {
				t.Errorf("%s leads to %q (%v), want %q", name, got, err, want)
			}
		case d.Type().IsRegular():
			files = append(files, name)
			want, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if got, err := fs.ReadFile(fsys, name); !bytes.Equal(got, want) || err != nil {
				t.Errorf("%s has %d bytes (%v), want %d", name, len(got), err, len(want))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(dir, "live/filesystem.squashfs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"link", "absolute", "many/up", "folder/filesystem.squashfs"} {
		if got, err := fs.ReadFile(fsys, link); !bytes.Equal(got, want) || err != nil {
			t.Errorf("through %s: %d bytes, %v", link, len(got), err)
		}
	}
	for link, says := range map[string]string{"loop": "too many links", "out": "not exist", "nowhere": "not exist"} {
		if _, err := fs.ReadFile(fsys, link); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", link, err, says)
		}
	}
	for _, name := range []string{"loop", "out", "nowhere", "link", "absolute", "many/up", "folder"} { // TestFS opens all that it sees
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := fstest.TestFS(open(t, xorriso(t, dir, "-R")), files...); err != nil {
		t.Error(err)
	}
}

// Without Rock Ridge there are Joliet's names, and without those, what ECMA-119 allows, in lower case.
func TestOtherNames(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "Live"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Live", "FileSystem äö.squashfs"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Live", "vmlinuz"), []byte("y"), 0o644); err != nil {
		t.Fatal(err)
	}
	joliet := open(t, xorriso(t, dir, "--norock", "-J"))
	if got, err := fs.ReadFile(joliet, "Live/FileSystem äö.squashfs"); string(got) != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	plain := open(t, xorriso(t, dir, "--norock"))
	if got, err := fs.ReadFile(plain, "live/VMLINUZ"); string(got) != "y" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// image is a file system with one file of several extents, made by hand: they have names and contents.
func image(parts ...string) []byte {
	b := make([]byte, (20+len(parts))*sector)
	record := func(name string, at, size int, flags byte) []byte {
		r := make([]byte, 34+len(name)/2*2)
		r[0], r[25], r[32] = byte(len(r)), flags, byte(len(name))
		binary.LittleEndian.PutUint32(r[2:], uint32(at))
		binary.LittleEndian.PutUint32(r[10:], uint32(size))
		copy(r[33:], name)
		return r
	}
	pvd := b[16*sector:]
	pvd[0] = 1
	copy(pvd[1:], "CD001")
	binary.LittleEndian.PutUint16(pvd[128:], sector)
	copy(pvd[156:], record("\x00", 18, sector, flagDir))
	copy(b[17*sector:], "\xffCD001")
	dir := b[18*sector : 18*sector]
	dir = append(dir, record("\x00", 18, sector, flagDir)...)
	dir = append(dir, record("\x01", 18, sector, flagDir)...)
	for i, p := range parts {
		flags := byte(flagMore)
		if i == len(parts)-1 {
			flags = 0
		}
		dir = append(dir, record("BIG.;1", 20+i, len(p), flags)...)
		copy(b[(20+i)*sector:], p)
	}
	return b
}

func TestSeveralExtents(t *testing.T) {
	full := strings.Repeat("f", sector)
	b := image(full, full, "rest")
	fsys, err := New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := fs.ReadFile(fsys, "big")
	if string(got) != full+full+"rest" || err != nil {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	f, err := fsys.Open("big")
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if n, err := f.(io.ReaderAt).ReadAt(p, 2*sector-5); n != 9 || string(p[:n]) != "fffffrest" || err != io.EOF {
		t.Errorf("%d %q %v", n, p[:n], err)
	}
	if list, err := fsys.ReadDir("."); len(list) != 1 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	cut := b[:len(b)-sector]
	if fsys, err = New(bytes.NewReader(cut), int64(len(cut))); err != nil {
		t.Fatal(err)
	}
	if _, err := fsys.Open("big"); err == nil || !strings.Contains(err.Error(), "the image is cut off") {
		t.Errorf("of a cut image: %v", err)
	}
}

// FuzzImage reads everything of an image; nothing may panic, hang or take much memory.
func FuzzImage(f *testing.F) {
	f.Add(image("a", "b"))
	f.Add(image())
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys, err := New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		seen := 0
		_ = fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
			if seen++; seen > 1000 || err != nil {
				return fs.SkipAll
			}
			if file, err := fsys.Open(path); err == nil && !d.IsDir() {
				_, _ = io.Copy(sha256.New(), io.LimitReader(file, 1<<20))
			}
			_, _ = fsys.ReadLink(path)
			return nil
		})
	})
}

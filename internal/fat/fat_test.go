package fat

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*31>>3 ^ i)
	}
	return b
}

// What dosfstools and mtools, which are nobody's here, make of the file systems.
func TestForeignTools(t *testing.T) {
	fsck := need.Command(t, "fsck.vfat", "dosfstools")
	mcopy, mdir := need.Command(t, "mcopy", "mtools"), need.Command(t, "mdir", "mtools")
	many := []File{}
	for i := range 90 {
		many = append(many, File{fmt.Sprintf("folder with a long name/some file number %d.text", i), content(i * 100)})
	}
	for name, files := range map[string][]File{
		"nothing": {},
		"a stick": {{"EFI/BOOT/BOOTX64.EFI", content(17<<20 + 5)}, {"boottorrent.conf", []byte("# nothing\n")}, {"README.TXT", content(700)}},
		"empty":   {{"a/b/c/d/empty", nil}, {"A.B", content(1)}},
		"alike":   {{"boottorrent.conf", content(1)}, {"boottorrent.config", content(2)}, {"BOOTTO~1.CON", content(3)}, {"a+b.c", content(4)}},
		"many":    many,
		"large":   {{"large", content(70 << 20)}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Make(files, Options{Label: "BootTorrent", ID: 0x12345678, Free: 300 << 10, Hidden: 2048,
				Time: time.Date(2026, 11, 24, 12, 34, 56, 0, time.UTC)})
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "fat.img")
			if err := os.WriteFile(path, out, 0o644); err != nil {
				t.Fatal(err)
			}
			said, err := exec.Command(fsck, "-n", "-v", path).CombinedOutput()
			if err != nil {
				t.Errorf("fsck.vfat -n: %v\n%s", err, said)
			}
			for _, f := range files {
				got, err := exec.Command(mcopy, "-n", "-i", path, "::"+f.Path, "-").Output()
				if err != nil || !bytes.Equal(got, f.Data) {
					t.Errorf("mcopy %s: %d bytes, want %d, %v", f.Path, len(got), len(f.Data), err)
				}
			}
			if len(files) == 0 {
				return // which mdir takes for an error
			}
			if listed, err := exec.Command(mdir, "-/", "-b", "-i", path).CombinedOutput(); err != nil || strings.Count(string(listed), "\n") < len(files) {
				t.Errorf("mdir: %v\n%s", err, listed)
			}
			// There is room, and one may write into it.
			if said, err := exec.Command(mcopy, "-i", path, "fat.go", "::fat.go").CombinedOutput(); err != nil {
				t.Errorf("mcopy into it: %v %s", err, said)
			}
			if said, err := exec.Command(fsck, "-n", path).CombinedOutput(); err != nil {
				t.Errorf("fsck.vfat -n after it: %v\n%s", err, said)
			}
		})
	}
}

func TestSize(t *testing.T) {
	out, err := Make([]File{{"a", content(16 << 20)}}, Options{Free: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if over := len(out) - 16<<20 - 256<<10; over < 0 || over > 160<<10 {
		t.Errorf("a file system of %d bytes has %d bytes of its own", len(out), over)
	}
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		files []File
		want  string
	}{
		"twice":          {[]File{{"a", nil}, {"A", nil}}, "there twice"},
		"file as folder": {[]File{{"a", nil}, {"a/b", nil}}, "there twice"},
		"out of it":      {[]File{{"../a", nil}}, "not clean"},
		"a bad name":     {[]File{{"a:b", nil}}, "can't be one in FAT"},
		"not ASCII":      {[]File{{"ä", nil}}, "can't be one in FAT"},
	} {
		if _, err := Make(tt.files, Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	var many []File
	for i := range 300 {
		many = append(many, File{fmt.Sprintf("a long name %d", i), nil})
	}
	if _, err := Make(many, Options{}); err == nil || !strings.Contains(err.Error(), "512 fit") {
		t.Errorf("a full top folder: %v", err)
	}
}

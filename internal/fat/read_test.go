package fat

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// What dosfstools and mtools make is read, whatever size of entry the file system has; also what was edited, and so lies in
// several pieces.
func TestReadForeign(t *testing.T) {
	format, mcopy := need.Command(t, "mkfs.vfat", "dosfstools"), need.Command(t, "mcopy", "mtools")
	mmd, mdel := need.Command(t, "mmd", "mtools"), need.Command(t, "mdel", "mtools")
	for bits, kib := range map[int]string{12: "2048", 16: "20000", 32: "70000"} {
		t.Run("FAT"+strconv.Itoa(bits), func(t *testing.T) {
			dir := t.TempDir()
			image := filepath.Join(dir, "fat.img")
			run := func(tool string, args ...string) {
				t.Helper()
				if said, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", tool, err, said)
				}
			}
			put := func(name string, data []byte) {
				t.Helper()
				source := filepath.Join(dir, "source")
				if err := os.WriteFile(source, data, 0o644); err != nil {
					t.Fatal(err)
				}
				run(mcopy, "-o", "-i", image, source, "::"+name)
			}
			run(format, "-C", "-F", strconv.Itoa(bits), "-i", "b0071234", "-s", "1", image, kib)
			run(mmd, "-i", image, "::EFI", "::EFI/Some long name")
			for _, name := range []string{"one", "two", "three"} {
				put(name, content(100<<10))
			}
			run(mdel, "-i", image, "::two")
			files := map[string][]byte{
				"boottorrent.conf": content(150 << 10), // in the gap, and behind
				"EFI/BOOT.EFI":     content(5000), "EFI/Some long name/a file.text": content(513), "EMPTY.TXT": nil,
			}
			for name, data := range files {
				put(name, data)
			}
			f, err := os.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			v, err := Open(f)
			if err != nil {
				t.Fatal(err)
			}
			if v.bits != bits || v.ID != 0xb0071234 {
				t.Errorf("%d bits, serial number %08x", v.bits, v.ID)
			}
			for name, want := range files {
				if got, err := v.ReadFile(name, 1<<20); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes, want %d, %v", name, len(got), len(want), err)
				}
			}
			for at := int64(0); at < 150<<10; at += 512 { // in the gap, and behind
				here := make([]byte, 512)
				offset, err := v.Offset("boottorrent.conf", at)
				if err == nil {
					_, err = f.ReadAt(here, offset)
				}
				if err != nil || !bytes.Equal(here, files["boottorrent.conf"][at:][:512]) {
					t.Fatalf("byte %d is not at %d (%v)", at, offset, err)
				}
			}
			for name, at := range map[string]int64{"boottorrent.conf": 150 << 10, "EMPTY.TXT": 0, "EFI": 0, "none": 0, "one": -1} {
				if offset, err := v.Offset(name, at); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("byte %d of %s is at %d, %v", at, name, offset, err)
				}
			}
			if got, err := v.ReadFile("efi/SOME LONG NAME/A FILE.TEXT", 513); err != nil || len(got) != 513 {
				t.Errorf("in other letters: %v", err)
			}
			for _, name := range []string{"two", "boot", "EFI/none", "one/two"} {
				if _, err := v.ReadFile(name, 1<<20); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, name := range []string{"EFI", "one"} {
				if _, err := v.ReadFile(name, 10); err == nil || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// What Make writes is read, and bytes of any kind do no harm.
func FuzzRead(f *testing.F) {
	whole, err := Make([]File{{"EFI/BOOT/a long name.efi", content(3000)}, {"boottorrent.conf", content(30)}}, Options{ID: 7})
	if err != nil {
		f.Fatal(err)
	}
	head := whole[:(reserved+copies*16+rootSectors+10)*sector]
	f.Add(head)
	f.Add(head[:700])
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Open(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, name := range []string{"EFI/BOOT/a long name.efi", "boottorrent.conf"} {
			if got, err := v.ReadFile(name, 1<<20); bytes.Equal(data, head) && (err != nil || len(got) == 0) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			for _, at := range []int64{0, 8 << 10} {
				if offset, err := v.Offset(name, at); err == nil && offset <= 0 {
					t.Errorf("byte %d of %s is at %d", at, name, offset)
				}
			}
		}
	})
}

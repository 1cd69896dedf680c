package rootimage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// makers are foreign programs, each with what it makes of a folder.
var makers = map[string]struct {
	command, pkg string
	args         []string // IMAGE and FOLDER stand for those
	want         Image    // but for its size
}{
	"squashfs":        {"mksquashfs", "squashfs-tools", []string{"FOLDER", "IMAGE", "-comp", "zstd", "-quiet"}, Image{FS: Squashfs, Compression: []string{"zstd"}, BlockSize: 128 << 10}},
	"squashfs, small": {"mksquashfs", "squashfs-tools", []string{"FOLDER", "IMAGE", "-comp", "xz", "-b", "1M", "-nopad", "-quiet"}, Image{FS: Squashfs, Compression: []string{"xz"}, BlockSize: 1 << 20}},
	"erofs":           {"mkfs.erofs", "erofs-utils", []string{"--quiet", "IMAGE", "FOLDER"}, Image{FS: Erofs, BlockSize: 4096}},
	"erofs with lz4":  {"mkfs.erofs", "erofs-utils", []string{"--quiet", "-zlz4hc", "IMAGE", "FOLDER"}, Image{FS: Erofs, BlockSize: 4096, Compression: []string{"lz4"}}},
	"ext4":            {"mke2fs", "e2fsprogs", []string{"-q", "-t", "ext4", "-d", "FOLDER", "IMAGE", "8M"}, Image{FS: Ext4, BlockSize: 1024, Bits64: true}},
	"ext2":            {"mke2fs", "e2fsprogs", []string{"-q", "-t", "ext2", "-b", "4096", "IMAGE", "8M"}, Image{FS: Ext4, BlockSize: 4096}},
}

// made makes an image with a foreign program.
func made(t *testing.T, name string) []byte {
	t.Helper()
	m := makers[name]
	command := need.Command(t, m.command, m.pkg)
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(filepath.Join(dir, "file"), bytes.Repeat([]byte("text "), 4000), 0o644); err != nil {
		t.Fatal(err)
	}
	args := strings.NewReplacer("FOLDER", dir, "IMAGE", image).Replace(strings.Join(m.args, "\n"))
	if out, err := exec.Command(command, strings.Split(args, "\n")...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", m.command, err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRead(t *testing.T) {
	for name, m := range makers {
		t.Run(name, func(t *testing.T) {
			b := made(t, name)
			got, err := Read(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			if got.Size <= 0 || got.Size > int64(len(b)) || int64(len(b))-got.Size >= 4096 {
				t.Errorf("size %d of a file of %d bytes", got.Size, len(b))
			}
			size := got.Size
			got.Size = 0
			if !reflect.DeepEqual(got, m.want) {
				t.Errorf("%+v, want %+v", got, m.want)
			}
			cut := b[:size-1]
			var truncated *TruncatedError
			if _, err := Read(bytes.NewReader(cut), int64(len(cut))); !errors.As(err, &truncated) || truncated.Size != size || truncated.Have != size-1 || truncated.FS != m.want.FS {
				t.Errorf("without its last byte: %v", err)
			}
			for n := range int64(headSize) { // nothing that is cut passes, wherever it is cut
				if _, err := Read(bytes.NewReader(b[:min(n, size-1)]), n); err == nil && n < size {
					t.Errorf("the first %d bytes are an image", n)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	poke := func(name string, at int, with ...byte) []byte {
		b := made(t, name)
		copy(b[at:], with)
		return b
	}
	for _, c := range []struct {
		name, want string
		image      []byte
	}{
		{"squashfs 3", "version 3.1, and Linux mounts 4.0", poke("squashfs", 28, 3, 0, 1)},
		{"squashfs of a big-endian machine", "of version", poke("squashfs", 0, []byte("sqsh")...)},
		{"squashfs with a new compression", "unknown compression, number 9", poke("squashfs", 20, 9)},
		{"squashfs with odd blocks", "damaged squashfs", poke("squashfs", 12, 1)},
		{"squashfs without bytes", "damaged squashfs", poke("squashfs", 40, 0, 0, 0, 0, 0, 0, 0, 0)},
		{"squashfs with bytes beyond all", "damaged squashfs", poke("squashfs", 40, 255, 255, 255, 255, 255, 255, 255, 255)},
		{"erofs with huge blocks", "damaged erofs", poke("erofs", superblockAt+12, 99)},
		{"ext4 with huge blocks", "damaged ext4", poke("ext4", superblockAt+0x18, 99)},
		{"ext4's journal", "the journal", poke("ext4", superblockAt+0x60, 0x08)},
		{"nothing", ErrUnknown.Error(), nil},
		{"text", ErrUnknown.Error(), []byte(strings.Repeat("text ", 1000))},
	} {
		if got, err := Read(bytes.NewReader(c.image), int64(len(c.image))); err == nil || !strings.Contains(err.Error(), c.want) || !reflect.DeepEqual(got, Image{}) {
			t.Errorf("%s: %+v, %v; want %s", c.name, got, err, c.want)
		}
	}
}

// What no program here makes: features of file systems by the bits of their superblocks.
func TestFeatures(t *testing.T) {
	erofs := make([]byte, 1<<20)
	sb := erofs[superblockAt:]
	binary.LittleEndian.PutUint32(sb, erofsMagic)
	sb[12] = 12
	binary.LittleEndian.PutUint32(sb[36:], 200)
	binary.LittleEndian.PutUint32(sb[80:], erofsConfigs)
	binary.LittleEndian.PutUint16(sb[84:], 0b1010)
	binary.LittleEndian.PutUint16(sb[86:], 3)
	want := Image{FS: Erofs, Size: 200 << 12, BlockSize: 4096, Compression: []string{"lzma", "zstd"}, Devices: 3}
	if got, err := Read(bytes.NewReader(erofs), int64(len(erofs))); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("erofs: %+v, %v", got, err)
	}
	binary.LittleEndian.PutUint32(sb[80:], erofs48Bit)
	binary.LittleEndian.PutUint16(sb[14:], 1)
	var truncated *TruncatedError
	if _, err := Read(bytes.NewReader(erofs), int64(len(erofs))); !errors.As(err, &truncated) || truncated.Size != (1<<32+200)<<12 {
		t.Errorf("erofs of 16 TiB: %v", err)
	}
	ext4 := made(t, "ext4")
	ext4[superblockAt+0x60] |= ext4Recover
	if got, err := Read(bytes.NewReader(ext4), int64(len(ext4))); err != nil || !got.Unclean {
		t.Errorf("ext4 that was not unmounted: %+v, %v", got, err)
	}
}

type failing struct{ error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.error }

func TestReadFails(t *testing.T) {
	disk := errors.New("disk")
	if _, err := Read(failing{disk}, 1<<20); !errors.Is(err, disk) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	squashfs := make([]byte, headSize)
	copy(squashfs, "hsqs")
	squashfs[14], squashfs[20], squashfs[22], squashfs[28], squashfs[40] = 2, 6, 17, 4, 99
	erofs := make([]byte, headSize)
	binary.LittleEndian.PutUint32(erofs[superblockAt:], erofsMagic)
	erofs[superblockAt+12], erofs[superblockAt+36] = 9, 1
	ext4 := make([]byte, headSize)
	binary.LittleEndian.PutUint32(ext4[superblockAt+0x38:], ext4Magic)
	ext4[superblockAt+4] = 1
	for _, seed := range [][]byte{nil, squashfs, erofs, ext4} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := Read(bytes.NewReader(b), int64(len(b)))
		if err == nil && (i.FS == "" || i.Size <= 0 || i.Size > int64(len(b)) || i.BlockSize <= 0) {
			t.Errorf("%+v of %d bytes", i, len(b))
		}
	})
}

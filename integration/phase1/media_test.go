package phase1

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/fat"
	"github.com/boottorrent/boottorrent/internal/gpt"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/uki"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// TestMedia makes both media twice, and looks at them by foreign tools and as a node does: it finds the volume that its command
// line names, and on it the text.
func TestMedia(t *testing.T) {
	need.File(t, uki.StubFile, "systemd-boot-efi")
	need.Command(t, "grub-mkimage", "grub-common")
	need.File(t, "/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin")
	need.Command(t, "xorriso", "xorriso")
	_, dir := build(t)
	t.Parallel()
	const conf = "# of the test\r\ntimeout: 7\r\n"
	volumes := map[uint32]bool{}
	for _, format := range []image.Format{image.USB, image.ISO} {
		t.Run(string(format), func(t *testing.T) {
			make := func(conf string) ([]byte, image.MadeMedium) {
				path, config := filepath.Join(t.TempDir(), "medium"), filepath.Join(t.TempDir(), "conf")
				if err := os.WriteFile(config, []byte(conf), 0o644); err != nil {
					t.Fatal(err)
				}
				m, made, err := image.BuildMedium(t.Context(), image.Options{Site: dir}, image.Medium{Format: format, Path: path, Config: config})
				if err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(path)
				if err != nil || int64(len(b)) != made.Size || made.Path != path {
					t.Fatalf("%d bytes are said to be %+v: %v", len(b), made, err)
				}
				if over := made.Size - m.Size(); over > 3<<20 {
					t.Errorf("%d bytes more than phase 1 by network", over)
				}
				return b, made
			}
			b, made := make(conf)
			if again, _ := make(conf); !bytes.Equal(again, b) {
				t.Error("made again it differs")
			}
			if _, other := make("timeout: 8\n"); other.Volume == made.Volume {
				t.Error("media with another text have the same volume")
			}
			if volumes[made.Volume] {
				t.Error("the two media have one volume")
			}
			volumes[made.Volume] = true
			text, err := exec.Command(need.Command(t, "sgdisk", "gdisk"), "--verify", made.Path).CombinedOutput()
			if err != nil || !strings.Contains(string(text), "No problems found") {
				t.Errorf("sgdisk: %v\n%s", err, text)
			}
			checkVolume(t, b, made.Volume, conf)
		})
	}
}

// checkVolume looks at a medium's FAT volume.
func checkVolume(t *testing.T, medium []byte, id uint32, conf string) {
	partitions, err := gpt.Read(bytes.NewReader(medium))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range partitions {
		size := int64(p.Last-p.First+1) * gpt.Sector
		at := io.NewSectionReader(bytes.NewReader(medium), int64(p.First)*gpt.Sector, size)
		v, err := fat.Open(at)
		if err != nil || v.ID != id {
			continue
		}
		if text, err := v.ReadFile("boottorrent.conf", 1<<20); err != nil || string(text) != conf {
			t.Errorf("boottorrent.conf has %q, %v", text, err)
		}
		efi, err := v.ReadFile("EFI/BOOT/BOOTX64.EFI", 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		cmdline, err := uki.Content(efi, ".cmdline")
		if want := fmt.Sprintf("bt.medium=%08x\x00", id); err != nil || !bytes.HasSuffix(cmdline, []byte(want)) {
			t.Errorf("the command line is %q, %v; want it to end in %q", cmdline, err, want)
		}
		checkFAT(t, at)
		return
	}
	t.Errorf("no volume %08x in %+v", id, partitions)
}

// checkFAT is what dosfstools and binutils make of a volume.
func checkFAT(t *testing.T, volume io.ReaderAt) {
	file := filepath.Join(t.TempDir(), "esp")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, io.NewSectionReader(volume, 0, 1<<30)); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command(need.Command(t, "fsck.vfat", "dosfstools"), "-n", file).CombinedOutput(); err != nil {
		t.Errorf("fsck.vfat: %v\n%s", err, text)
	}
	efi := filepath.Join(t.TempDir(), "boot.efi")
	if text, err := exec.Command(need.Command(t, "mcopy", "mtools"), "-n", "-i", file, "::EFI/BOOT/BOOTX64.EFI", efi).CombinedOutput(); err != nil {
		t.Fatalf("mcopy: %v\n%s", err, text)
	}
	text, err := exec.Command(need.Command(t, "objdump", "binutils"), "-h", efi).CombinedOutput()
	for _, section := range []string{".linux", ".initrd", ".cmdline", ".osrel", ".uname"} {
		if err != nil || !strings.Contains(string(text), section) {
			t.Errorf("objdump shows no section %s: %v\n%s", section, err, text)
		}
	}
}

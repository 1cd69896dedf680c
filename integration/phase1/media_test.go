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
	"time"

	"github.com/boottorrent/boottorrent/internal/fat"
	"github.com/boottorrent/boottorrent/internal/gpt"
	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/uki"
	"github.com/boottorrent/boottorrent/mkimage/image"
	"github.com/boottorrent/boottorrent/mkimage/keys"
)

// TestMedia makes both media twice, those with shim and GRUB and one with the signed UEFI program, and looks at them by foreign tools and as a
// node does: it finds the volume that its command line names, and on it the text.
func TestMedia(t *testing.T) {
	need.File(t, uki.StubFile, "systemd-boot-efi")
	need.Command(t, "grub-mkimage", "grub-common")
	need.File(t, "/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin")
	need.Command(t, "xorriso", "xorriso")
	need.File(t, "/usr/lib/shim/shimx64.efi.signed", "shim-signed")
	need.File(t, "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed", "grub-efi-amd64-signed")
	_, dir := build(t)
	signing := filepath.Join(t.TempDir(), "signing")
	if err := site.Init(signing, "room"); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Make(signing, "room", false, time.Now()); err != nil {
		t.Fatal(err)
	}
	t.Parallel()
	const conf = "# of the test\r\ntimeout: 7\r\n"
	volumes := map[uint32]bool{}
	for _, c := range []struct {
		name   string
		format image.Format
		site   string
		check  func(*testing.T, *fat.Volume, uint32)
		// more is how many MiB it may have beside kernel and initramfs.
		more int64
	}{
		{"usb", image.USB, dir, checkChain, 8}, {"iso", image.ISO, dir, checkChain, 8}, {"signed", image.USB, signing, checkProgram, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			make := func(conf string) ([]byte, image.MadeMedium) {
				path, config := filepath.Join(t.TempDir(), "medium"), filepath.Join(t.TempDir(), "conf")
				if err := os.WriteFile(config, []byte(conf), 0o644); err != nil {
					t.Fatal(err)
				}
				m, made, err := image.BuildMedium(t.Context(), image.Options{Site: c.site, Sign: c.site == signing}, image.Medium{Format: c.format, Path: path, Config: config})
				if err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(path)
				if err != nil || int64(len(b)) != made.Size || made.Path != path {
					t.Fatalf("%d bytes are said to be %+v: %v", len(b), made, err)
				}
				if over := made.Size - m.Size(); over > c.more<<20 {
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
				t.Error("two media have one volume")
			}
			volumes[made.Volume] = true
			text, err := exec.Command(need.Command(t, "sgdisk", "gdisk"), "--verify", made.Path).CombinedOutput()
			if err != nil || !strings.Contains(string(text), "No problems found") {
				t.Errorf("sgdisk: %v\n%s", err, text)
			}
			checkVolume(t, b, made.Volume, conf, c.check)
		})
	}
}

// checkVolume looks at a medium's FAT volume, and has check look at what starts from it.
func checkVolume(t *testing.T, medium []byte, id uint32, conf string, check func(*testing.T, *fat.Volume, uint32)) {
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
		check(t, v, id)
		checkFAT(t, at)
		return
	}
	t.Errorf("no volume %08x in %+v", id, partitions)
}

// checkChain looks at a volume that starts by shim and GRUB.
func checkChain(t *testing.T, v *fat.Volume, id uint32) {
	for _, name := range []string{"EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "EFI/BOOT/mmx64.efi"} {
		checkSigned(t, read(t, v, name))
	}
	kernel := read(t, v, phase1.MediumKernel)
	checkSigned(t, kernel)
	if initramfs := read(t, v, phase1.MediumInitramfs); len(initramfs) < 1<<20 {
		t.Errorf("the initramfs has %d bytes", len(initramfs))
	}
	script := string(read(t, v, "boot/grub/grub.cfg"))
	if want := fmt.Sprintf("'bt.medium=%08x'", id); !strings.Contains(script, want) {
		t.Errorf("GRUB does not give the kernel %s:\n%s", want, script)
	}
}

// checkProgram looks at a volume that starts by the signed UEFI program.
func checkProgram(t *testing.T, v *fat.Volume, id uint32) {
	program := read(t, v, "EFI/BOOT/BOOTX64.EFI")
	checkSigned(t, program)
	cmdline, err := uki.Content(program, ".cmdline")
	if want := fmt.Sprintf("bt.medium=%08x\x00", id); err != nil || !bytes.HasSuffix(cmdline, []byte(want)) {
		t.Errorf("the command line is %q, %v; want it to end in %q", cmdline, err, want)
	}
	file := write(t, program)
	text, err := exec.Command(need.Command(t, "objdump", "binutils"), "-h", file).CombinedOutput()
	for _, section := range []string{".linux", ".initrd", ".cmdline", ".osrel", ".uname"} {
		if err != nil || !strings.Contains(string(text), section) {
			t.Errorf("objdump shows no section %s: %v\n%s", section, err, text)
		}
	}
}

// checkSigned asks sbverify whether a UEFI program is signed.
func checkSigned(t *testing.T, program []byte) {
	t.Helper()
	text, err := exec.Command(need.Command(t, "sbverify", "sbsigntool"), "--list", write(t, program)).CombinedOutput()
	if err != nil || !strings.Contains(string(text), "signature 1") {
		t.Errorf("sbverify: %v\n%s", err, text)
	}
}

func read(t *testing.T, v *fat.Volume, name string) []byte {
	t.Helper()
	content, err := v.ReadFile(name, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkFAT is what dosfstools and mtools make of a volume.
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
}

package media

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/fat"
	"github.com/boottorrent/boottorrent/internal/gpt"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/uki"
)

// contents are those of a medium whose kernel and initramfs are not ones.
func contents(t *testing.T) Contents {
	t.Helper()
	need.File(t, uki.StubFile, "systemd-boot-efi")
	stub, err := uki.ReadStub("/", arch.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	im := uki.Image{Stub: stub, OSRelease: "ID=boottorrent\n", Cmdline: "console=tty0", Release: "6.1",
		Kernel: bytes.Repeat([]byte("kernel"), 10000), Initrd: bytes.Repeat([]byte("initrd"), 30001)}
	c := Contents{Cmdline: "console=ttyS0,115200 console=tty0", Label: "BootTorrent", Volume: 0xb0071234,
		Files: []fat.File{{Path: "boottorrent.conf", Data: []byte("# seeder: http://10.0.0.1:8080\n")}}}
	if c.UKI, c.Sections, err = uki.Build(im); err != nil {
		t.Fatal(err)
	}
	return c
}

func grub(t *testing.T) *GRUB {
	t.Helper()
	need.Command(t, "grub-mkimage", "grub-common")
	need.File(t, filepath.Join(grubDir, "boot.img"), "grub-pc-bin")
	g, err := NewGRUB(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// run runs a foreign tool and returns what it says.
func run(t *testing.T, name, pkg string, args ...string) string {
	t.Helper()
	said, err := exec.Command(need.Command(t, name, pkg), args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, said)
	}
	return string(said)
}

// What gdisk, dosfstools, mtools and binutils make of a stick.
func TestDisk(t *testing.T) {
	c := contents(t)
	disk, err := c.Disk(t.Context(), grub(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "stick.img")
	if err := os.WriteFile(path, disk, 0o644); err != nil {
		t.Fatal(err)
	}
	if text := run(t, "sgdisk", "gdisk", "--verify", path); !strings.Contains(text, "No problems found") || strings.Contains(text, "Caution") {
		t.Errorf("sgdisk:\n%s", text)
	}
	esp := filepath.Join(t.TempDir(), "esp.img")
	partitions, err := gpt.Read(bytes.NewReader(disk))
	if err != nil || len(partitions) != 2 || partitions[0].Type != gpt.BasicData || partitions[0].First != dataFirst ||
		partitions[1].First <= partitions[0].Last {
		t.Fatalf("the file system is not the first and typed as data: %+v, %v", partitions, err)
	}
	if err := os.WriteFile(esp, disk[dataFirst*512:(partitions[0].Last+1)*512], 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "fsck.vfat", "dosfstools", "-n", esp)
	at := path + "@@1M"
	if got := run(t, "mcopy", "mtools", "-n", "-i", at, "::boottorrent.conf", "-"); got != string(c.Files[0].Data) {
		t.Errorf("boottorrent.conf is %q", got)
	}
	out := filepath.Join(t.TempDir(), "linux.efi")
	run(t, "mcopy", "mtools", "-n", "-i", at, "::EFI/BOOT/BOOTX64.EFI", out)
	if text := run(t, "objdump", "binutils", "-h", out); !strings.Contains(text, ".initrd") {
		t.Errorf("objdump:\n%s", text)
	}
	if over := len(disk) - len(c.UKI); over > 3<<20 {
		t.Errorf("a stick is %d bytes larger than what is on it", over)
	}
	again, err := c.Disk(t.Context(), grub(t))
	if err != nil || !bytes.Equal(again, disk) {
		t.Errorf("the same contents give another disk: %v", err)
	}
}

func TestISO(t *testing.T) {
	need.Command(t, "xorriso", "xorriso")
	c := contents(t)
	path, twice := filepath.Join(t.TempDir(), "a.iso"), filepath.Join(t.TempDir(), "b.iso")
	for _, p := range []string{path, twice} {
		if err := c.ISO(t.Context(), grub(t), t.TempDir(), p); err != nil {
			t.Fatal(err)
		}
	}
	text := run(t, "xorriso", "xorriso", "-indev", path, "-report_el_torito", "plain", "-report_system_area", "plain")
	for _, want := range []string{"El Torito boot img :   1  BIOS", "El Torito boot img :   2  UEFI", "GPT", "MBR", "boot/esp.img"} {
		if !strings.Contains(text, want) {
			t.Errorf("xorriso reports no %q:\n%s", want, text)
		}
	}
	a, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(twice); err != nil || !bytes.Equal(a, b) {
		t.Errorf("the same contents give another image: %v", err)
	}
	if verified := run(t, "sgdisk", "gdisk", "--verify", path); !strings.Contains(verified, "No problems found") {
		t.Errorf("sgdisk:\n%s", verified)
	}
	if mbr := a[446:510]; mbr[4] != 0xee || mbr[0] != 0 || mbr[16] != 0x80 || mbr[16+4] != 0 {
		t.Errorf("a BIOS that wants an active entry finds % x", mbr)
	}
	if over := len(a) - len(c.UKI); over > 4<<20 {
		t.Errorf("the image is %d bytes larger than what is in it", over)
	}
}

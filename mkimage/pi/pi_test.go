package pi

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// write makes files in a folder, with their names as their content where none is given.
func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		if content == "" {
			content = name
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bare is a kernel for arm64 that is not compressed (Linux, Documentation/arch/arm64/booting.rst).
func bare(content string) string {
	return strings.Repeat("\x00", 0x38) + "ARM\x64" + strings.Repeat("\x00", 4) + content
}

// zboot is one in a UEFI program that unpacks it (Linux, drivers/firmware/efi/libstub/zboot-header.S).
func zboot(t *testing.T, kernel string) string {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(kernel)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	const at = 128
	b := make([]byte, at)
	copy(b, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(b[8:], at)
	binary.LittleEndian.PutUint32(b[12:], uint32(packed.Len()))
	copy(b[24:], "gzip")
	binary.LittleEndian.PutUint32(b[0x3c:], 64)
	copy(b[64:], "PE\x00\x00\x64\xaa")
	return string(b) + packed.String()
}

// A kernel in a form that a Pi's firmware doesn't start is unpacked.
func TestKernelInAUEFIProgram(t *testing.T) {
	dir := aSite(t)
	write(t, dir, map[string]string{"image/arm64/vmlinuz": zboot(t, bare("packed"))})
	firmware := write(t, t.TempDir(), map[string]string{"start4.elf": "", "fixup4.dat": ""})
	made, err := Make(t.Context(), Options{Site: dir, Firmware: firmware, Cache: kernelTrees(t)})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, made.Dir, "vmlinuz"); got != bare("packed") {
		t.Errorf("the kernel is %q", got)
	}
}

// aSite is a site that has an image for arm64, of a kernel of the distribution.
func aSite(t *testing.T) string {
	return write(t, t.TempDir(), map[string]string{
		"image/arm64/vmlinuz": bare("old"), "image/arm64/initramfs.img": "initramfs",
		"image/arm64/manifest.json": `{"files":[{"name":"vmlinuz"}],"kernel":{"release":"6.1.0-1-arm64","package":"linux-image-6.1.0-1-arm64 6.1.1-1"},` +
			`"cmdline":"loglevel=5 console=tty0"}`,
	})
}

// kernelTrees are the device trees that the kernel's package brings, in a cache.
func kernelTrees(t *testing.T) string {
	const trees = "packages/arm64/linux-image-6.1.0-1-arm64_6.1.1-1/usr/lib/linux-image-6.1.0-1-arm64/broadcom/"
	return write(t, t.TempDir(), map[string]string{trees + "bcm2711-rpi-4-b.dtb": "Debian's", trees + "bcm2837-rpi-3-b.dtb": ""})
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestMake(t *testing.T) {
	dir := aSite(t)
	write(t, dir, map[string]string{"pi/9ffefdef/config.txt": "the operator's", "pi/config.txt": "old"})
	firmware := write(t, t.TempDir(), map[string]string{
		"boot/firmware/start4.elf": "", "boot/firmware/fixup4.dat": "", "boot/firmware/start.elf": "", "boot/firmware/vmlinuz-6": "",
		"boot/firmware/bcm2711-rpi-4-b.dtb": "firmware's", "boot/firmware/bcm2712-rpi-5-b.dtb": "firmware's", "boot/firmware/bcm2710-rpi-3-b.dtb": "",
		"boot/firmware/overlays/vc4-kms-v3d.dtbo": "", "boot/firmware/overlays/overlay_map.dtb": "", "boot/firmware/overlays/README": "",
	})
	made, err := Make(t.Context(), Options{Site: dir, Firmware: firmware, Cache: kernelTrees(t)})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(made.Ready, []string{"Raspberry Pi 4", "Raspberry Pi 5"}) || len(made.Lacks) > 0 {
		t.Errorf("ready: %v, lacking: %v", made.Ready, made.Lacks)
	}
	if !slices.Equal(made.ForeignTrees, []string{"bcm2712-rpi-5-b.dtb"}) {
		t.Errorf("device trees that aren't the kernel's: %v", made.ForeignTrees)
	}
	var there []string
	if err := fs.WalkDir(os.DirFS(made.Dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			there = append(there, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"9ffefdef/config.txt", "bcm2711-rpi-4-b.dtb", "bcm2712-rpi-5-b.dtb", "cmdline.txt", "config.txt", "fixup4.dat", "initramfs.img",
		"overlays/overlay_map.dtb", "overlays/vc4-kms-v3d.dtbo", "start4.elf", "vmlinuz"}
	if !slices.Equal(there, want) || made.Files != len(want)-1 {
		t.Errorf("the folder has %v, of which %d are written; want %v", there, made.Files, want)
	}
	for name, content := range map[string]string{
		"bcm2711-rpi-4-b.dtb": "Debian's", "bcm2712-rpi-5-b.dtb": "firmware's", "vmlinuz": bare("old"), "initramfs.img": "initramfs",
		"cmdline.txt": "console=ttyS1,115200 console=ttyAMA10,115200 loglevel=5 console=tty0\n", "9ffefdef/config.txt": "the operator's",
	} {
		if got := read(t, made.Dir, name); got != content {
			t.Errorf("%s is %q, want %q", name, got, content)
		}
	}
	if config := read(t, made.Dir, "config.txt"); !strings.Contains(config, "arm_64bit=1\nkernel=vmlinuz\ninitramfs initramfs.img followkernel\n") {
		t.Errorf("config.txt is\n%s", config)
	}
	// A new image counts at once.
	write(t, dir, map[string]string{"image/arm64/vmlinuz": bare("newer")})
	if got := read(t, made.Dir, "vmlinuz"); got != bare("newer") {
		t.Errorf("the kernel is %q", got)
	}
}

// Of Debian's package, which has no device trees, and the kernel's own a Pi 4 starts, and what a Pi 5 lacks is told.
func TestMakeFromPackage(t *testing.T) {
	need.Command(t, "dpkg-deb", "dpkg")
	root := write(t, t.TempDir(), map[string]string{
		"usr/lib/raspi-firmware/start4.elf": "", "usr/lib/raspi-firmware/fixup4.dat": "",
		"DEBIAN/control": "Package: raspi-firmware\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: test\n",
	})
	deb := filepath.Join(t.TempDir(), "raspi-firmware_1_all.deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-b", root, deb).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	made, err := Make(t.Context(), Options{Site: aSite(t), Firmware: deb, Cache: kernelTrees(t)})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(made.Ready, []string{"Raspberry Pi 4"}) || len(made.Lacks) != 1 || made.Lacks[0].Files[0] != "bcm2712-rpi-5-b.dtb" || len(made.ForeignTrees) > 0 {
		t.Errorf("%+v", made)
	}
}

// What can't come to anything is refused with what to do, and leaves no folder behind.
func TestMakeRefuses(t *testing.T) {
	empty, text := t.TempDir(), filepath.Join(write(t, t.TempDir(), map[string]string{"a.txt": ""}), "a.txt")
	half := write(t, t.TempDir(), map[string]string{"start4.elf": ""})
	damaged := write(t, t.TempDir(), map[string]string{"image/arm64/manifest.json": "{"})
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no image":        {Options{Site: empty, Firmware: half}, "--arch arm64 first"},
		"a damaged image": {Options{Site: damaged, Firmware: half}, "--arch arm64 again"},
		"no firmware":     {Options{Site: aSite(t), Firmware: empty}, "there is no firmware of a Raspberry Pi in " + empty},
		"no such folder":  {Options{Site: aSite(t), Firmware: empty + "/gone"}, "no such file"},
		"some other file": {Options{Site: aSite(t), Firmware: text}, "neither a folder nor a package"},
		"half of it":      {Options{Site: aSite(t), Firmware: half}, "a Raspberry Pi 4 lacks fixup4.dat, bcm2711-rpi-4-b.dtb; a Raspberry Pi 5 lacks bcm2712-rpi-5-b.dtb"},
		"no trees":        {Options{Site: aSite(t), Firmware: half, DeviceTrees: empty}, "no device tree of a Raspberry Pi 4 or 5"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Cache = empty
			_, err := Make(t.Context(), c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(c.o.Site, "pi")); !errors.Is(err, fs.ErrNotExist) {
				t.Error("there is a folder")
			}
		})
	}
}

package drivers

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/modarchive"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/mkimage/archive"
)

// rootModules are what a root file system is mounted by, beside testModules.
var rootModules = map[string][]string{
	"drivers/block/loop.ko":        {"vermagic=6.1.0 SMP"},
	"fs/squashfs/squashfs.ko.xz":   {"alias=fs-squashfs"},
	"fs/overlayfs/overlay.ko.gz":   {"alias=fs-overlay"},
	"fs/ext4/ext4.ko.zst":          {"alias=fs-ext4", "depends=jbd2", "softdep=pre: crypto-crc32c"},
	"fs/jbd2/jbd2.ko":              nil,
	"drivers/virtio/virtio_pci.ko": {"alias=pci:v00001AF4d*sv*sd*bc*sc*i*"},
}

// writeKernel makes a file that is a kernel of release 6.1.0 by its header.
func writeKernel(t *testing.T) string {
	t.Helper()
	b := make([]byte, 0x1000)
	copy(b[0x1fe:], "\x55\xaa\x00\x00HdrS")
	binary.LittleEndian.PutUint16(b[0x20e:], 0x800-0x200)
	copy(b[0x800:], "6.1.0 (somebody@somewhere) #1 SMP")
	file := filepath.Join(t.TempDir(), "vmlinuz")
	writeFile(t, file, b)
	return file
}

func compressor(t *testing.T, method string) archive.Compressor {
	t.Helper()
	c, err := archive.New(t.Context(), method, archive.MinLevel)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rootTree is a kernel with network drivers and what roots need, and with some of both built in.
func rootTree(t *testing.T) string {
	t.Helper()
	modules := maps.Clone(testModules)
	maps.Copy(modules, rootModules)
	dir := writeTree(t, modules, builtinPTP, "kernel/drivers/net/virtio_net.ko", "kernel/fs/erofs/erofs.ko")
	writeFile(t, filepath.Join(dir, "modules.builtin.modinfo"), []byte(strings.Join([]string{
		"virtio_net.alias=virtio:d00000001v*", "virtio_net.license=GPL", "erofs.alias=fs-erofs", "notlisted.alias=pci:v*", "erofs.alias=a b", "",
	}, "\x00")))
	return dir
}

func TestArchive(t *testing.T) {
	vmlinuz, dir := writeKernel(t), rootTree(t)
	firmware := t.TempDir()
	writeFile(t, filepath.Join(firmware, "rtl_nic/a.fw"), []byte("firmware"))
	for _, method := range []string{archive.MethodXZ, archive.MethodZstd} {
		t.Run(method, func(t *testing.T) {
			b, set, err := Archive(t.Context(), vmlinuz, dir, Selection{Common}, firmware, compressor(t, method))
			if err != nil {
				t.Fatal(err)
			}
			x, err := modarchive.Read(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			if x.Release != "6.1.0" || set.Version != "6.1.0" {
				t.Errorf("release %q and %q, want 6.1.0", x.Release, set.Version)
			}
			for name, builtin := range map[string]bool{
				"loop": false, "squashfs": false, "overlay": false, "ext4": false, "jbd2": false, "crc32c_generic": false, "r8169": false,
				"erofs": true, "ptp": true, "virtio_net": true,
			} {
				if !x.Has(name) || x.IsBuiltin(name) != builtin {
					t.Errorf("%s: there %v, built in %v; want it there, built in %v", name, x.Has(name), x.IsBuiltin(name), builtin)
				}
			}
			if x.Has("sfc") || x.Has("snd") {
				t.Error("it has modules that nobody asked for")
			}
			for modalias, want := range map[string]string{
				"pci:v000010ECd00008168sv0sd0": "r8169", "virtio:d00000001v00001AF4": "virtio_net", "pci:v00001AF4d0sv0sd0bc0sc0i0": "virtio_pci",
			} {
				if got := x.Drivers(modalias); !slices.Equal(got, []string{want}) {
					t.Errorf("%s is driven by %q, want %s alone", modalias, got, want)
				}
			}
			again, _, err := Archive(t.Context(), vmlinuz, dir, Selection{Common}, firmware, compressor(t, method))
			if err != nil || !bytes.Equal(b, again) {
				t.Errorf("a second archive of the same is another (%v)", err)
			}
		})
	}
}

// TestArchiveUnpacks has cpio unpack both parts, the second behind xz, as the kernel does.
func TestArchiveUnpacks(t *testing.T) {
	cpio := need.Command(t, "cpio", "cpio")
	need.Command(t, "xz", "xz-utils")
	b, set, err := Archive(t.Context(), writeKernel(t), rootTree(t), Selection{"r8169"}, "", compressor(t, archive.MethodXZ))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("\xfd7zXZ\x00"))
	if at < 0 || len(b)%4 != 0 {
		t.Fatalf("the xz stream is at %d of %d bytes", at, len(b))
	}
	root := t.TempDir()
	xz := exec.Command("xz", "--decompress", "--stdout")
	xz.Stdin = bytes.NewReader(bytes.TrimRight(b[at:], "\x00"))
	second, err := xz.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{b[:at], second} {
		extract := exec.Command(cpio, "-idm", "--quiet")
		extract.Dir, extract.Stdin = root, bytes.NewReader(part)
		if out, err := extract.CombinedOutput(); err != nil {
			t.Fatalf("cpio: %v: %s", err, out)
		}
	}
	for _, m := range set.Modules {
		content, err := os.ReadFile(filepath.Join(root, "lib/modules/6.1.0", m.Path))
		if err != nil || !bytes.Equal(content, m.Content) {
			t.Errorf("%s is not in it as it was: %v", m.Path, err)
		}
	}
	dep, err := os.ReadFile(filepath.Join(root, "lib/modules/6.1.0/modules.dep"))
	if err != nil || !strings.Contains(string(dep), "kernel/fs/ext4/ext4.ko:") {
		t.Errorf("modules.dep is %q, %v", dep, err)
	}
}

func TestArchiveErrors(t *testing.T) {
	vmlinuz := writeKernel(t)
	foreign := writeTree(t, map[string][]string{"drivers/net/ethernet/realtek/r8169.ko": {"vermagic=5.10.0 SMP mod_unload"}})
	older := filepath.Join(t.TempDir(), "lib/modules/5.10.0")
	writeFile(t, filepath.Join(older, "kernel/a.ko"), nil)
	for _, c := range []struct{ name, vmlinuz, modules, wrong string }{
		{"modules of another kernel", vmlinuz, older, "is kernel 6.1.0, but " + older + " has the modules of 5.10.0"},
		{"in a folder of this one's name", vmlinuz, foreign, "was built for kernel 5.10.0, not for 6.1.0"},
		{"no kernel", filepath.Join(older, "kernel/a.ko"), older, "is no Linux kernel image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Archive(t.Context(), c.vmlinuz, c.modules, Selection{Common}, "", compressor(t, archive.MethodXZ))
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("error %v, want one with %q", err, c.wrong)
			}
		})
	}
}

// A pipe among the modules, as a foreign root file system may have, is no module; who opened it would wait for ever.
func TestOnlyFilesAreModules(t *testing.T) {
	dir := writeTree(t, map[string][]string{"a.ko": nil})
	for _, name := range []string{"pipe.ko", "dangling.ko"} {
		var err error
		if file := filepath.Join(dir, "kernel", name); name == "pipe.ko" {
			err = exec.Command("mkfifo", file).Run()
		} else {
			err = os.Symlink("/no/such", file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tree, err := openTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !tree.has("a") || tree.has("pipe") || tree.has("dangling") {
		t.Errorf("modules %v, want a alone", tree.files)
	}
}

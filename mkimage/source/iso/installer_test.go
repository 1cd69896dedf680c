package iso

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/roottest"
	"github.com/boottorrent/boottorrent/mkimage/source"
)

// almaMenu is a menu with an entry that is none of Linux's, one whose files are missing, and two.
const almaMenu = `default vesamenu.c32
label linux
  menu label ^Install AlmaLinux 9.4
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=AlmaLinux-9-4-x86_64-dvd quiet
label check
  menu label Test this ^media & install AlmaLinux 9.4
  menu default
  kernel vmlinuz
  append initrd=initrd.img,extra/initrd.img inst.stage2=hd:LABEL=AlmaLinux-9-4-x86_64-dvd rd.live.check quiet
label absent
  kernel absent
  append initrd=initrd.img
label no-kernel
  kernel /README
  append initrd=initrd.img
label memtest
  kernel memtest
label local
  localboot 0xffff
`

func alma() files {
	return files{
		"isolinux/isolinux.cfg": []byte(almaMenu), "isolinux/vmlinuz": roottest.Kernel(release), "isolinux/initrd.img": cpio(files{"a": nil}),
		"isolinux/extra/initrd.img": cpio(files{"b": nil}), "isolinux/memtest": roottest.Kernel(release), "README": []byte("hello"),
		".treeinfo": []byte("[checksums]\nname = wrong\n[general]\nname = AlmaLinux 9.4\narch = x86_64\n"), "images/install.img": []byte("x"),
	}
}

// What is made of installers: the entries that were asked for, with what a person has to know.
func TestInstaller(t *testing.T) {
	ubuntu := files{
		"boot/grub/grub.cfg": grub("casper/vmlinuz", "casper/initrd", "iso-scan/filename=${iso_path} ---"), "casper/vmlinuz": roottest.Kernel(release), "casper/initrd": cpio(nil),
		"casper/ubuntu-server-minimal.squashfs": nil, "casper/ubuntu-server-minimal.ubuntu-server.installer.squashfs": nil, "dists/x": nil, "pool/x": nil,
		".disk/info": []byte(`Ubuntu-Server 24.04.1 LTS "Noble Numbat" - Release amd64 (20240827)`),
	}
	debian := files{
		"isolinux/isolinux.cfg": []byte("include txt.cfg\n"), "isolinux/txt.cfg": []byte("label install\nkernel /install.amd/vmlinuz\nappend vga=788 initrd=/install.amd/initrd.gz --- quiet\n"),
		"install.amd/vmlinuz": roottest.Kernel(release), "install.amd/initrd.gz": cpio(nil), "dists/x": nil, "pool/x": nil,
		".disk/info": []byte(`Debian GNU/Linux 12.4.0 "Bookworm" - Official amd64 NETINST with firmware 20231210-17:56`),
	}
	arm := files{"boot/grub/grub.cfg": grub("Image", "initrd", "console=ttyAMA0"), "Image": append(make([]byte, 56), "ARM\x64"...), "initrd": cpio(nil)}
	for name, c := range map[string]struct {
		iso     files
		entries []int
	}{
		"alma": {alma(), nil}, "alma two entries": {alma(), []int{2, 1}}, "alma one entry": {alma(), []int{1}}, "ubuntu server": {ubuntu, nil},
		"debian netinst": {debian, nil}, "arm": {arm, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := c.iso.iso(t)
			change := func(o *source.Options) {
				o.Entries = c.entries
				if name == "arm" {
					o.Arch = arch.ARM64
				}
			}
			dir, r, err := run(t, path, change)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "installer "+name, resultText(t, dir, r))
			first := sums(t, r.Systems[0])
			if _, r, err = run(t, path, change); err != nil || sums(t, r.Systems[0]) != first {
				t.Errorf("another time it is something else (%v)", err)
			}
		})
	}
}

// What the initrds of other ISOs look for.
func TestWants(t *testing.T) {
	for _, c := range []struct{ folder, cmdline, says string }{
		{"apks", "modules=loop,squashfs quiet", "alpine_repo=http://SERVER/FOLDER/apks"},
		{"live", "boot=live components", "add: fetch=http://SERVER/filesystem.squashfs"},
		{"live", "boot=live fetch=http://192.0.2.1/x.squashfs", ""},
		{"boot/x86_64/loader", "splash=silent", "add: install=http://SERVER/FOLDER/"},
		{"boot/x86_64/loader", "install=http://192.0.2.1/", ""},
		{"nix", "root=LABEL=nixos-24 init=/nix/store/init", "looks for the ISO as a disc"},
		{"x", "quiet", ""},
	} {
		path := files{c.folder + "/x": nil, "boot/grub/grub.cfg": grub("k", "i", c.cmdline), "k": roottest.Kernel(release), "i": cpio(nil)}.iso(t)
		dir, r, err := run(t, path, func(o *source.Options) { o.Entries = []int{1} })
		if err != nil {
			t.Fatal(err)
		}
		got := resultText(t, dir, r)
		got = strings.ReplaceAll(got, "\n# ", " ")
		if !strings.Contains(got, c.says) || c.says == "" && strings.Contains(got, "SERVER") {
			t.Errorf("%s: %q is not in\n%s", c.folder, c.says, got)
		}
	}
}

func TestEntriesThatAreNotThere(t *testing.T) {
	path := alma().iso(t)
	for _, c := range []struct {
		entries []int
		says    string
	}{
		{[]int{3}, "--entry 3: the boot menu has no such entry; these can be started:\n   1  Install AlmaLinux 9.4\n   2  Test this media & install AlmaLinux 9.4 (the default)"},
		{[]int{1, 1}, "--entry 1 is given twice"},
		{[]int{1, -1}, "--entry -1: the boot menu has no such entry"},
	} {
		if _, _, err := run(t, path, func(o *source.Options) { o.Entries = c.entries }); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}

// The real menus of Debian's installer: GRUB's, and syslinux's with its includes.
func TestDebiansMenus(t *testing.T) {
	const dir = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"
	need.File(t, dir+"/linux", "debian-installer-12-netboot-amd64")
	tree := t.TempDir()
	amd64 := filepath.Join(tree, "debian-installer", "amd64")
	if err := os.CopyFS(amd64, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, menu := range []struct{ from, to string }{{"grub/grub.cfg", "boot/grub/grub.cfg"}, {"boot-screens/syslinux.cfg", "syslinux.cfg"}} {
		b, err := os.ReadFile(filepath.Join(amd64, menu.from))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(tree, menu.to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x.iso")
		if err := os.WriteFile(path, made(t, "xorriso", "xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", "OUT", tree), 0o644); err != nil {
			t.Fatal(err)
		}
		src, err := source.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		i, err := open(src)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := i.menu(t.Context())
		i.close()
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) < 6 || !entries[0].Default || entries[0].Title != "Install" || entries[0].Cmdline != "vga=788 --- quiet" ||
			entries[0].Kernel != "debian-installer/amd64/linux" {
			t.Errorf("%s: %d entries, the first is %+v", menu.from, len(entries), entries[0])
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
}

// Everything else starts in a virtual machine.
func TestMachine(t *testing.T) {
	windows := files{"setup.exe": []byte("MZ"), "sources/install.wim": []byte("x")}.iso(t)
	write := func(name string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	boot := make([]byte, 4096)
	boot[510], boot[511] = 0x55, 0xaa
	udf := make([]byte, 40<<10)
	copy(udf[16*2048:], "\x00BEA01")
	copy(udf[17*2048:], "\x00NSR03")
	qcow := made(t, "qemu-img", "qemu-utils", "create", "-q", "-f", "qcow2", "OUT", "1M")
	vmdk := made(t, "qemu-img", "qemu-utils", "create", "-q", "-f", "vmdk", "OUT", "1M")
	vdi := made(t, "qemu-img", "qemu-utils", "create", "-q", "-f", "vdi", "OUT", "1M")
	for name, path := range map[string]string{
		"iso": windows, "udf": write("disc", udf), "raw": write("My Disk.img", boot), "qcow2": write("golden image", qcow), "vmdk": write("a.vmdk", vmdk),
		"vdi": write("a.vdi", vdi),
	} {
		t.Run(name, func(t *testing.T) {
			dir, r, err := run(t, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "machine "+name, resultText(t, dir, r))
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(r.Systems[0].Path(r.Systems[0].Files[0].Name)); string(got) != string(src) || err != nil {
				t.Errorf("the file is another (%v)", err)
			}
		})
	}
	backed := filepath.Join(t.TempDir(), "backed.qcow2")
	if err := os.WriteFile(backed, made(t, "qemu-img", "qemu-utils", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", "OUT", "1M"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, backed, nil); err == nil || !strings.Contains(err.Error(), "stands on the backing file") {
		t.Error(err)
	}
}

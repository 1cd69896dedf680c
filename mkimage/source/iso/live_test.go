package iso

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/roottest"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/source"
)

var update = flag.Bool("update", false, "write the golden files anew")

// kinds are those of this package, in the order in which they are asked.
var kinds = []source.Kind{Live{}, Installer{}, Machine{}}

// run imports a source into a new site, as the system x.
func run(t *testing.T, path string, change func(*source.Options)) (dir string, r *source.Result, err error) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "site")
	if err := site.Init(dir, "test"); err != nil {
		t.Fatal(err)
	}
	o := source.Options{Source: path, Target: filepath.Join(dir, "oss", "x"), Cache: t.TempDir(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&o)
	}
	r, err = source.Import(t.Context(), o, kinds)
	if err != nil {
		entries, readErr := os.ReadDir(filepath.Join(dir, "oss"))
		if readErr != nil || len(entries) != 1 { // README
			t.Errorf("an import that failed left %v, %v", entries, readErr)
		}
		return dir, nil, err
	}
	s, problems := site.Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if all := s.AllProblems(); len(all) > 0 {
		t.Fatal(all)
	}
	return dir, r, nil
}

// resultText is what an import made: its table and its configuration.
func resultText(t *testing.T, dir string, r *source.Result) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Systems {
		config, err := os.ReadFile(s.Path("config.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "-- %s --\n%s", s.Name, config)
	}
	return strings.ReplaceAll(b.String(), dir, "DIR")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// sums are the hashes of a system's files.
func sums(t *testing.T, s *source.System) string {
	t.Helper()
	var b strings.Builder
	for _, f := range s.Files {
		content, err := os.ReadFile(s.Path(f.Name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %x\n", f.Name, sha256.Sum256(content))
	}
	return b.String()
}

// The layouts of live ISOs: what is made of each, and the same at every time.
func TestLive(t *testing.T) {
	need.Command(t, "unsquashfs", "squashfs-tools")
	whole := root(release, release).squashfs(t)
	casperMenu := files{
		"boot/grub/grub.cfg": grub("casper/vmlinuz", "casper/initrd", "--- quiet splash"), "casper/vmlinuz": roottest.Kernel(release),
		".disk/info": []byte(`Ubuntu 24.04 LTS "Noble Numbat" - Release amd64 (20240424)`),
	}
	layers := files{
		"casper/minimal.squashfs": files{"etc/os-release": []byte("PRETTY_NAME=Base\n")}.squashfs(t), "casper/minimal.standard.squashfs": root("", "").squashfs(t),
		"casper/minimal.standard.live.squashfs": root("", release).squashfs(t), "casper/minimal.de.squashfs": files{"de": nil}.squashfs(t),
	}
	fedoraMenu := files{
		"EFI/BOOT/grub.cfg":      grub("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "root=live:CDLABEL=Fedora rd.live.image quiet rhgb"),
		"images/pxeboot/vmlinuz": roottest.Kernel("6.8.5-301.fc40.x86_64"), "images/pxeboot/initrd.img": cpio(nil),
	}
	nested := func(t *testing.T) []byte {
		return files{"LiveOS/rootfs.img": root(release, release).ext4(t)}.squashfs(t)
	}
	for name, c := range map[string]struct {
		iso    func(t *testing.T) files
		asRoot bool
	}{
		"debian": {iso: func(*testing.T) files {
			return files{
				"live/filesystem.squashfs": whole, "live/vmlinuz": roottest.Kernel(release), "live/initrd.img": cpio(nil),
				"boot/grub/grub.cfg": grub("live/vmlinuz", "live/initrd.img", "boot=live components locales=de_DE.UTF-8 findiso=${iso_path} vga=788"),
				".disk/info":         []byte("Official Debian GNU/Linux Live 12.4.0 standard 2023-12-10T12:21\n"),
			}
		}},
		"debian module": {iso: func(t *testing.T) files {
			return files{
				"live/base.squashfs": whole, "live/extra.squashfs": files{"extra": nil}.squashfs(t), "live/00-not-listed.squashfs": files{"x": nil}.squashfs(t),
				"live/filesystem.module": []byte("base.squashfs\nextra.squashfs\n"),
			}
		}},
		"debian several": {iso: func(t *testing.T) files {
			return files{
				"live/20-more.squashfs": files{"more": nil}.squashfs(t), "live/10-base.squashfs": root("", release).squashfs(t),
				"live/vmlinuz-old": roottest.Kernel("5.10.0-1-amd64"), "live/vmlinuz-new": roottest.Kernel(release),
			}
		}},
		"no kernel": {iso: func(t *testing.T) files { return files{"live/filesystem.squashfs": root("", "").squashfs(t)} }},
		"ubuntu": {iso: func(t *testing.T) files {
			return casperMenu.with(files{"casper/filesystem.squashfs": root("", release).squashfs(t), "casper/initrd": cpio(nil)})
		}},
		"ubuntu layers by the initrd": {iso: func(t *testing.T) files {
			conf := files{layerConf: []byte("LAYERFS_PATH=minimal.standard.live.squashfs\n"), "init": []byte("#!/bin/sh\n")}
			return casperMenu.with(layers).with(files{"casper/initrd": initrd(t, conf), "casper/minimal.de.live.squashfs": files{"x": nil}.squashfs(t)})
		}},
		"ubuntu layers by their names": {iso: func(*testing.T) files { return casperMenu.with(layers).with(files{"casper/initrd": cpio(nil)}) }},
		"ubuntu layers by the sources": {iso: func(t *testing.T) files {
			f := casperMenu.with(files{"casper/initrd": cpio(nil), "casper/install-sources.yaml": []byte("- default: false\n  path: b.squashfs\n- default: true\n  path: a.c.squashfs\n")})
			return f.with(files{"casper/a.squashfs": whole, "casper/a.c.squashfs": files{"c": nil}.squashfs(t), "casper/b.squashfs": whole})
		}},
		"fedora nested":   {asRoot: true, iso: func(t *testing.T) files { return fedoraMenu.with(files{"LiveOS/squashfs.img": nested(t)}) }},
		"fedora squashfs": {iso: func(*testing.T) files { return fedoraMenu.with(files{"LiveOS/squashfs.img": whole}) }},
		"fedora erofs": {iso: func(t *testing.T) files {
			return fedoraMenu.with(files{"LiveOS/squashfs.img": root(release, release).erofs(t)})
		}},
		"kiwi": {asRoot: true, iso: func(t *testing.T) files {
			return files{
				"boot/grub2/grub.cfg":      grub("boot/x86_64/loader/linux", "boot/x86_64/loader/initrd", "root=live:CDLABEL=openSUSE rd.live.image rd.live.overlay.cowfs=xfs splash=silent"),
				"boot/x86_64/loader/linux": roottest.Kernel(release), "boot/x86_64/loader/initrd": cpio(nil), "LiveOS/squashfs.img": nested(t),
			}
		}},
		"arch": {iso: func(t *testing.T) files {
			return files{
				"arch/x86_64/airootfs.sfs": whole, "arch/boot/x86_64/vmlinuz-linux": roottest.Kernel(release), "arch/boot/x86_64/initramfs-linux.img": cpio(nil),
				"loader/entries/01.conf": []byte("title Arch Linux\nlinux /arch/boot/x86_64/vmlinuz-linux\ninitrd /arch/boot/x86_64/initramfs-linux.img\n" +
					"options archisobasedir=arch archisosearchuuid=2024-06-01 accessibility=on\n"),
			}
		}},
		"arch erofs": {iso: func(t *testing.T) files { return files{"arch/x86_64/airootfs.erofs": root(release, release).erofs(t)} }},
	} {
		t.Run(name, func(t *testing.T) {
			if c.asRoot {
				need.LoopDevices(t)
				need.FileSystem(t, "ext4")
			}
			path := c.iso(t).iso(t)
			dir, r, err := run(t, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, resultText(t, dir, r))
			first := sums(t, r.Systems[0])
			if _, r, err = run(t, path, nil); err != nil {
				t.Fatal(err)
			}
			if again := sums(t, r.Systems[0]); again != first {
				t.Errorf("once\n%sand again\n%s", first, again)
			}
		})
	}
}

// What can't be a system is refused, with the reason, and leaves nothing.
func TestLiveRefused(t *testing.T) {
	random := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(random) // never fails
	whole := root(release, release).with(files{"random": random}).squashfs(t)
	arm := root(release, release)
	arm["sbin/init"] = roottest.Program(elf.EM_AARCH64)
	for name, c := range map[string]struct {
		iso  files
		cut  bool
		says string
	}{
		"cut off":               {files{"live/filesystem.squashfs": whole}, true, "it is cut off: it has"},
		"a cut squashfs":        {files{"live/filesystem.squashfs": whole[:len(whole)/2]}, false, "live/filesystem.squashfs of the ISO: "},
		"no squashfs":           {files{"live/filesystem.squashfs": []byte("hello")}, false, "it is no squashfs, erofs or ext4 image"},
		"a layer missing":       {files{"live/filesystem.squashfs": whole, "live/filesystem.module": []byte("filesystem.squashfs absent.squashfs")}, false, "live/absent.squashfs is not on the ISO"},
		"which layer":           {files{"casper/a.squashfs": whole, "casper/b.squashfs": whole}, false, "nothing says which is the live one: a.squashfs, b.squashfs"},
		"layers without a base": {files{"casper/a.b.live.squashfs": whole, "casper/a.squashfs": whole}, false, "casper/a.b.squashfs is not on the ISO"},
		"no init":               {files{"live/filesystem.squashfs": files{"bin/sh": roottest.Program(elf.EM_X86_64)}.squashfs(t)}, false, "it has no init"},
		"for arm64":             {files{"live/filesystem.squashfs": arm.squashfs(t)}, false, "its /sbin/init is for arm64, and the site's machines are amd64"},
		"not a root at all":     {files{"LiveOS/squashfs.img": files{"LiveOS/rootfs.img": []byte("hello")}.squashfs(t)}, false, "LiveOS/squashfs.img/LiveOS/rootfs.img of the ISO: it is no squashfs"},
	} {
		t.Run(name, func(t *testing.T) {
			path := c.iso.iso(t)
			if c.cut {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(path, info.Size()/2); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := run(t, path, nil); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

// Links on the ISO that lead out of it lead nowhere.
func TestLinksLeadNowhere(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.squashfs")
	if err := os.WriteFile(secret, root(release, release).squashfs(t), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := files{"live/README": nil}.folder(t)
	if err := os.Symlink("../../../../../../.."+secret, filepath.Join(dir, "live", "filesystem.squashfs")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.iso")
	if err := os.WriteFile(path, made(t, "xorriso", "xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", "OUT", dir), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, path, nil); err == nil || !strings.Contains(err.Error(), "live/filesystem.squashfs is not on the ISO") {
		t.Error(err)
	}
}

// The init that a person names is looked for in the live system too, and has no meaning for others.
func TestLiveInit(t *testing.T) {
	path := files{"live/filesystem.squashfs": root("", "").with(files{"bin/other": roottest.Program(elf.EM_X86_64)}).squashfs(t)}.iso(t)
	dir, r, err := run(t, path, func(o *source.Options) { o.Init = "/bin/other" })
	if err != nil {
		t.Fatal(err)
	}
	if got := resultText(t, dir, r); !strings.Contains(got, "init: \"/bin/other\"\n") {
		t.Error(got)
	}
	if _, _, err := run(t, path, func(o *source.Options) { o.Init = "/bin/absent" }); err == nil || !strings.Contains(err.Error(), "/bin/absent") {
		t.Error(err)
	}
	if _, _, err := run(t, files{"a": nil}.iso(t), func(o *source.Options) { o.Init = "/bin/other" }); err == nil || !strings.Contains(err.Error(), "--init") {
		t.Error(err)
	}
}

// A live ISO's menu can be used as that of an installer.
func TestLiveEntry(t *testing.T) {
	path := files{
		"live/filesystem.squashfs": root(release, release).squashfs(t), "live/vmlinuz": roottest.Kernel(release), "live/initrd.img": cpio(nil),
		"boot/grub/grub.cfg": grub("live/vmlinuz", "live/initrd.img", "boot=live fetch=http://192.0.2.1/filesystem.squashfs"),
	}.iso(t)
	dir, r, err := run(t, path, func(o *source.Options) { o.Entries = []int{1} })
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "live entry", resultText(t, dir, r))
}

func TestInitrd(t *testing.T) {
	long := initrd(t, files{layerConf: []byte("LAYERFS_PATH=x\n")})
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"after microcode":  {long, "LAYERFS_PATH=x\n"},
		"not compressed":   {cpio(files{layerConf: []byte("y")}), "y"},
		"not there":        {cpio(files{"a": []byte("b")}), ""},
		"empty":            {nil, ""},
		"zeros":            {make([]byte, 4096), ""},
		"cut":              {long[:len(long)-20], ""},
		"a damaged header": {[]byte("070701zzzz" + strings.Repeat("z", 200)), ""},
	} {
		got, err := fileOfInitrd(t.Context(), strings.NewReader(string(c.content)), layerConf)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// FuzzInitrd reads what is no initrd, or a damaged one; nothing may panic, hang or take much memory.
func FuzzInitrd(f *testing.F) {
	f.Add(cpio(files{layerConf: []byte("LAYERFS_PATH=x\n"), "other": []byte("content")}))
	f.Add([]byte("\x00\x00\x00070701"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.HasPrefix(bytes.TrimLeft(b, "\x00"), []byte("\xfd7zXZ")) {
			return // a program decompresses that
		}
		got, err := fileOfInitrd(t.Context(), bytes.NewReader(b), layerConf)
		if (got == nil) == (err == nil) && len(got) > 0 {
			t.Errorf("%q and %v", got, err)
		}
	})
}

package roots

import (
	"archive/tar"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/boottorrent/boottorrent/internal/roottest"
	"github.com/boottorrent/boottorrent/mkimage/source"
)

func TestFolder(t *testing.T) {
	dir := root(t, elf.EM_X86_64)
	r, err := imported(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.files(t); got != wantFiles() {
		t.Errorf("files:\n%s", got)
	}
	for _, want := range []string{"dispname: Test Linux 1\n", "method: root\n", "root: root.squashfs\n"} {
		if !strings.Contains(r.config(t), want) {
			t.Errorf("config.yaml lacks %q:\n%s", want, r.config(t))
		}
	}
	again, err := imported(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if image(t, r) != image(t, again) {
		t.Error("the same folder becomes another image")
	}
}

// image is the bytes of what was made.
func image(t *testing.T, r result) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, packedImage))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A tar is recognised by what it is, whatever its name and compression, and they all become the same image.
func TestArchive(t *testing.T) {
	plain := tarOf(t, root(t, elf.EM_X86_64))
	var first string
	for _, c := range []struct{ program, pkg string }{{"", ""}, {"gzip", "gzip"}, {"xz", "xz-utils"}, {"zstd", "zstd"}, {"bzip2", "bzip2"}} {
		file := filepath.Join(t.TempDir(), "something.img")
		content, err := os.ReadFile(plain)
		if c.program != "" {
			content = run(t, c.pkg, c.program, "-c", plain)
		}
		if err = errors.Join(err, os.WriteFile(file, content, 0o644)); err != nil {
			t.Fatal(err)
		}
		r, err := imported(t, file)
		if err != nil {
			t.Errorf("%q: %v", c.program, err)
			continue
		}
		if got := r.files(t); got != wantFiles() {
			t.Errorf("%q: files:\n%s", c.program, got)
		}
		if first == "" {
			first = image(t, r)
		}
		if image(t, r) != first {
			t.Errorf("%q: it becomes another image", c.program)
		}
	}
}

// What is bad is refused with the reason, nothing is left of it, and no file outside is written.
func TestRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	bad := func(name, content string) string {
		file := filepath.Join(t.TempDir(), name)
		write(t, file, content)
		return file
	}
	whole, err := os.ReadFile(tarOf(t, root(t, elf.EM_X86_64)))
	if err != nil {
		t.Fatal(err)
	}
	squashfs, err := os.ReadFile(squashed(t, root(t, elf.EM_X86_64)))
	if err != nil {
		t.Fatal(err)
	}
	noInit := root(t, elf.EM_X86_64)
	if err := os.Remove(filepath.Join(noInit, "sbin/init")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, source, says string }{
		{"a tar with ..", archive(t, tar.Header{Name: "../" + filepath.Base(outside)}), "leads out of its folder"},
		{"a tar with a hard link to this machine's file", archive(t, tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}), "not in the archive"},
		{"a tar that is cut off", bad("x.tar", string(whole[:len(whole)/2])), "cut off or damaged"},
		{"a bomb", bomb(t), "decompression bombs"},
		{"no tar", bad("x.gz", string(run(t, "gzip", "gzip", "-c", "/etc/passwd"))), "what is in it is no tar"},
		{"a squashfs that is cut off", bad("x.squashfs", string(squashfs[:len(squashfs)-4096])), "bytes"},
		{"another architecture", root(t, elf.EM_AARCH64), "/sbin/init is for arm64"},
		{"no init", noInit, "install one in it (systemd-sysv"},
		{"no root", t.TempDir(), "is a folder without a root file system"},
		{"no file", filepath.Join(t.TempDir(), "none"), "there is no file or folder"},
		{"a text", bad("x", "hello"), "can't be imported"},
	} {
		if _, err := imported(t, test.source); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want it to say %q", test.name, err, test.says)
		}
	}
	// A link to a folder of this machine, and a file in it: both are in the system, and nowhere else.
	r, err := imported(t, archive(t, tar.Header{Name: "to", Typeflag: tar.TypeSymlink, Linkname: filepath.Dir(outside)}, tar.Header{Name: "to/outside", Mode: 0o644}))
	if err != nil || !strings.Contains(r.files(t), strings.TrimPrefix(outside, "/")) {
		t.Errorf("%v: %+v", err, r)
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Errorf("%s was written", outside)
	}
}

// bomb is a small file that unpacks to more than any node has.
func bomb(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bomb.tar.zst")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Size: 40 << 30}); err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 4<<20)
	for range 300 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

func squashed(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image")
	run(t, "squashfs-tools", "mksquashfs", dir, file, "-quiet", "-no-progress", "-b", "4096", "-noD", "-noF")
	return file
}

// A program that is asked for with --init becomes process 1, and is the system's init.
func TestInit(t *testing.T) {
	dir := root(t, elf.EM_X86_64)
	write(t, filepath.Join(dir, "opt/run"), string(roottest.Program(elf.EM_X86_64)))
	r, err := imported(t, dir, func(o *source.Options) { o.Init = "/opt/run" })
	if err != nil || !strings.Contains(r.config(t), "\ninit: \"/opt/run\"\n") {
		t.Errorf("%v\n%s", err, r.config(t))
	}
}

// A root whose fstab names disks starts on nodes, which don't have them.
func TestFstab(t *testing.T) {
	dir := root(t, elf.EM_X86_64)
	write(t, filepath.Join(dir, "etc/fstab"), "UUID=1 / ext4 defaults 0 1\nUUID=2 /boot/efi vfat umask=0077 0 1\n")
	r, err := imported(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.config(t); !strings.Contains(c, "\ncmdline: \"fstab=no\"\n") || !strings.Contains(c, "UUID=2 at /boot/efi") || strings.Contains(c, "UUID=1") {
		t.Errorf("%s", c)
	}
}

// A kernel whose modules are of another version is named, and the system has none.
func TestUnfitKernel(t *testing.T) {
	dir := root(t, elf.EM_X86_64)
	write(t, filepath.Join(dir, "boot/vmlinuz-6.1.0-10"), string(roottest.Kernel("6.1.0-9")))
	write(t, filepath.Join(dir, "lib/modules/6.1.0-10/modules.dep"), "")
	r, err := imported(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/boot/vmlinuz-6.1.0-10 is the kernel 6.1.0-9, and its modules are not in the root", "/lib/modules/6.1.0-10 are modules of a kernel that is not in the root"} {
		if !strings.Contains(r.log, want) {
			t.Errorf("the log lacks %q:\n%s", want, r.log)
		}
	}
	if strings.Contains(r.config(t), "\nkernel:") {
		t.Errorf("%s", r.config(t))
	}
}

package tree

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/roottest"
)

func elfOf(machine elf.Machine) string { return string(roottest.Program(machine)) }

func bzImage(release string) string { return string(roottest.Kernel(release)) }

// folder is a folder of files; a content that begins with > is a symbolic link.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if target, is := strings.CutPrefix(content, ">"); is {
			err = errors.Join(err, os.Symlink(target, file))
		} else {
			err = errors.Join(err, os.WriteFile(file, []byte(content), 0o755))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// system is a root file system as merged-/usr distributions have it, with others' files.
func system(more map[string]string) map[string]string {
	files := map[string]string{
		"lib": ">usr/lib", "sbin": ">usr/sbin", "usr/sbin/init": ">/lib/systemd/systemd", "usr/lib/systemd/systemd": elfOf(elf.EM_X86_64),
		"etc/os-release": ">../usr/lib/os-release", "usr/lib/os-release": "NAME=Test\nPRETTY_NAME=\"Test \\\"1\\\" Linux\"\n",
	}
	for name, content := range more {
		files[name] = content
	}
	return files
}

func look(t *testing.T, files map[string]string, init string) (Found, error) {
	t.Helper()
	r, err := OpenFolder(t.Context(), t.TempDir(), folder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return r.Look(t.Context(), init, arch.AMD64)
}

func TestLook(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		init  string
		want  string // init, title, kernels
	}{
		{"systemd behind links", system(nil), "", `/sbin/init "Test \"1\" Linux" []`},
		{"busybox", map[string]string{"bin/busybox": elfOf(elf.EM_X86_64), "init": ">bin/busybox"}, "", `/init "" []`},
		{"a script", map[string]string{"init": "#!/bin/sh -e\n", "bin/sh": ">busybox", "bin/busybox": elfOf(elf.EM_X86_64)}, "", `/init "" []`},
		{"the one that is asked for", system(map[string]string{"opt/run": elfOf(elf.EM_X86_64)}), "opt/run", `/opt/run "Test \"1\" Linux" []`},
		{"Debian's kernels, the newest first", system(map[string]string{
			"boot/vmlinuz-6.1.0-9-amd64": bzImage("6.1.0-9-amd64"), "usr/lib/modules/6.1.0-9-amd64/modules.dep": "",
			"boot/vmlinuz-6.1.0-10-amd64": bzImage("6.1.0-10-amd64"), "usr/lib/modules/6.1.0-10-amd64/modules.dep": "",
			"vmlinuz": ">boot/vmlinuz-6.1.0-9-amd64", "boot/vmlinuz.old": ">vmlinuz-6.1.0-9-amd64",
		}), "", `/sbin/init "Test \"1\" Linux" [{6.1.0-10-amd64 /boot/vmlinuz-6.1.0-10-amd64 /lib/modules/6.1.0-10-amd64} {6.1.0-9-amd64 /boot/vmlinuz-6.1.0-9-amd64 /lib/modules/6.1.0-9-amd64}]`},
		{"of one version that with more modules", system(map[string]string{
			"boot/vmlinuz-6.1-cloud": bzImage("6.1-cloud"), "usr/lib/modules/6.1-cloud/modules.dep": "",
			"boot/vmlinuz-6.1-amd": bzImage("6.1-amd"), "usr/lib/modules/6.1-amd/modules.dep": "", "usr/lib/modules/6.1-amd/kernel/e1000.ko": "",
		}), "", `/sbin/init "Test \"1\" Linux" [{6.1-amd /boot/vmlinuz-6.1-amd /lib/modules/6.1-amd} {6.1-cloud /boot/vmlinuz-6.1-cloud /lib/modules/6.1-cloud}]`},
		{"Fedora's, beside the modules", system(map[string]string{"usr/lib/modules/6.9/vmlinuz": bzImage("6.9"), "usr/lib/modules/6.9/modules.dep": ""}), "",
			`/sbin/init "Test \"1\" Linux" [{6.9 /lib/modules/6.9/vmlinuz /lib/modules/6.9}]`},
		{"Alpine's, whose name has no release", system(map[string]string{"boot/vmlinuz-lts": bzImage("6.6.7-0-lts"), "usr/lib/modules/6.6.7-0-lts/modules.dep": ""}), "",
			`/sbin/init "Test \"1\" Linux" [{6.6.7-0-lts /boot/vmlinuz-lts /lib/modules/6.6.7-0-lts}]`},
	} {
		f, err := look(t, test.files, test.init)
		if got := fmt.Sprintf("%s %q %v", f.Init, f.Title, f.Kernels); err != nil || got != test.want {
			t.Errorf("%s: %s, %v\nwant %s", test.name, got, err, test.want)
		}
	}
}

func TestLookRefused(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		init  string
		says  string
	}{
		{"no init", map[string]string{"etc/passwd": "", "bin/sh": elfOf(elf.EM_X86_64)}, "", "it has no init"},
		{"the init that is asked for", system(nil), "/opt/run", "no program /opt/run"},
		{"an init that leads to this machine", map[string]string{"sbin/init": ">/bin/true"}, "", "it has no init"},
		{"an init above the root", map[string]string{"sbin/init": ">../../../../../../../bin/true"}, "", "it has no init"},
		{"another architecture", system(map[string]string{"usr/lib/systemd/systemd": elfOf(elf.EM_AARCH64)}), "", "is for aarch64, 64-bit, and the system for amd64"},
		{"32 bits", map[string]string{"init": elfOf(elf.EM_386)}, "", "is for 386"},
		{"an init that is nothing", map[string]string{"init": "hello"}, "", "is a text without #!"},
		{"a script without interpreter", map[string]string{"init": "#!/bin/sh\n"}, "", "asks to be run by /bin/sh, which is not in the root file system"},
		{"a script of itself", map[string]string{"init": "#!/init\n"}, "", "too many for the kernel"},
	} {
		if _, err := look(t, test.files, test.init); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want it to say %q", test.name, err, test.says)
		}
	}
	var noInit *NoInitError
	if _, err := look(t, map[string]string{"etc/passwd": ""}, ""); !errors.As(err, &noInit) {
		t.Errorf("%T", err)
	}
}

// Of several architectures it is the one whose machines can run the init; kernels for another one are none of the system's.
func TestLookArch(t *testing.T) {
	files := system(map[string]string{
		"usr/lib/systemd/systemd": elfOf(elf.EM_AARCH64),
		"boot/vmlinuz-6.1-arm64":  string(roottest.KernelARM64("6.1-arm64")), "usr/lib/modules/6.1-arm64/modules.dep": "",
		"boot/vmlinuz-6.1-amd64": bzImage("6.1-amd64"), "usr/lib/modules/6.1-amd64/modules.dep": "",
	})
	r, err := OpenFolder(t.Context(), t.TempDir(), folder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.Look(t.Context(), "", arch.AMD64, arch.ARM64)
	if err != nil || f.Arch != arch.ARM64 || len(f.Kernels) != 1 || f.Kernels[0].Release != "6.1-arm64" {
		t.Errorf("%+v, %v", f, err)
	}
	if !slices.ContainsFunc(f.Notes, func(n string) bool {
		return strings.Contains(n, "it is for amd64, and the system's programs are for arm64")
	}) {
		t.Errorf("notes %q", f.Notes)
	}
	if f, err = look(t, system(nil), ""); err != nil || f.Arch != arch.AMD64 {
		t.Errorf("%+v, %v", f, err)
	}
}

// Kernels and modules that don't fit are named.
func TestUnfitKernels(t *testing.T) {
	f, err := look(t, system(map[string]string{
		"boot/vmlinuz-6.1": bzImage("6.1"), "usr/lib/modules/6.2/modules.dep": "", "boot/vmlinuz-broken": "no kernel",
		"usr/lib/modules/removed/kernel/left.ko": "", "boot/vmlinuz-above": ">../../../../etc/passwd",
		"etc/fstab": "# comment\nUUID=1 / ext4 defaults 0 1\nUUID=2 /boot ext4 defaults 0 2\n/dev/sda3 none swap sw 0 0\ntmpfs /tmp tmpfs x 0 0\nLABEL=x /data ext4 nofail 0 0\n",
	}), "")
	if err != nil || len(f.Kernels) != 0 {
		t.Fatalf("%+v %v", f, err)
	}
	want := []string{
		"/boot/vmlinuz-6.1 is the kernel 6.1, and its modules are not in the root",
		"/boot/vmlinuz-broken is no kernel that can be used: it has no header of a Linux kernel",
		"/lib/modules/6.2 are modules of a kernel that is not in the root",
	}
	if !slices.Equal(f.Notes, want) {
		t.Errorf("notes: %q", f.Notes)
	}
	if !slices.Equal(f.Mounts, []string{"UUID=2 at /boot", "/dev/sda3 at none"}) {
		t.Errorf("mounts: %q", f.Mounts)
	}
}

// What is taken out of a root are its own files, whatever its links say.
func TestExtract(t *testing.T) {
	files := system(map[string]string{
		"boot/vmlinuz-1": bzImage("1"), "usr/lib/modules/1/modules.dep": "dep", "usr/lib/modules/1/kernel/a.ko": "a", "usr/lib/modules/1/vmlinuz": ">/boot/vmlinuz-1",
		"usr/lib/modules/1/kernel/b.ko": ">../../../../../opt/b.ko", "opt/b.ko": "b", "usr/lib/modules/1/build": ">/usr/src",
		"usr/lib/modules/1/kernel/evil.ko": ">/etc/passwd", "usr/lib/modules/1/kernel/evil2.ko": ">" + strings.Repeat("../", 30) + "etc/hostname",
	})
	source := folder(t, files)
	for _, kind := range []string{"folder", "squashfs", "ext4", "erofs"} {
		t.Run(kind, func(t *testing.T) {
			r := opened(t, kind, source)
			defer r.Close()
			f, err := r.Look(t.Context(), "", arch.AMD64)
			if err != nil || len(f.Kernels) != 1 {
				t.Fatalf("%+v %v", f, err)
			}
			to := t.TempDir()
			kernel, modules, err := r.Extract(t.Context(), f.Kernels[0], to)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(kernel); err != nil || string(b) != bzImage("1") {
				t.Errorf("the kernel has %d bytes: %v", len(b), err)
			}
			got, err := ReadFolder(t.Context(), modules, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			if l := listing(t, got); l != "kernel/ kernel/a.ko=a kernel/b.ko=b modules.dep=dep" {
				t.Errorf("modules: %s", l)
			}
		})
	}
}

// opened is a folder, or an image of it of some kind.
func opened(t *testing.T, kind, source string) *Root {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	makers := map[string][]string{
		"squashfs": {"mksquashfs", "squashfs-tools", source, image, "-quiet", "-no-progress"},
		"ext4":     {"mke2fs", "e2fsprogs", "-q", "-t", "ext4", "-d", source, image, "8M"},
		"erofs":    {"mkfs.erofs", "erofs-utils", "-zlz4", image, source},
	}
	m, is := makers[kind]
	if !is {
		r, err := OpenFolder(t.Context(), t.TempDir(), source)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if out, err := exec.Command(need.Command(t, m[0], m[1]), m[2:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r, err := Open(t.Context(), t.TempDir(), image)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Who may not mount reads images of all kinds too. The test runs its sister as nobody.
func TestExtractAsNobody(t *testing.T) {
	need.Root(t)
	need.Command(t, "debugfs", "e2fsprogs")
	need.Command(t, "fsck.erofs", "erofs-utils")
	shared, err := os.MkdirTemp("/tmp", "tree-test-") // where nobody may go, unlike t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(shared) })
	binary := filepath.Join(shared, "test")
	if err := errors.Join(os.Chmod(shared, 0o777), copyProgram(binary)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^TestExtract$", "-test.v")
	cmd.Env = append(os.Environ(), "TMPDIR="+shared)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("SKIP")) {
		t.Errorf("%v: %s", err, out)
	}
}

// Layers are looked at as a node mounts them.
func TestOpenLayers(t *testing.T) {
	squash := func(files map[string]string) string {
		image := filepath.Join(t.TempDir(), "image")
		if out, err := exec.Command(need.Command(t, "mksquashfs", "squashfs-tools"), folder(t, files), image, "-quiet", "-no-progress", "-p", "gone c 600 0 0 0 0").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return image
	}
	r, err := Open(t.Context(), t.TempDir(), squash(system(map[string]string{"gone": "1", "etc/a": "below", "etc/b": "below"})), squash(map[string]string{"etc/a": "above"}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, want := range map[string]string{"/etc/a": "above", "/etc/b": "below", "/gone": ""} {
		if b, err := r.ReadFile(t.Context(), name, 100); string(b) != want || (err != nil) != (want == "") {
			t.Errorf("%s is %q: %v", name, b, err)
		}
	}
	if f, err := r.Look(t.Context(), "", arch.AMD64); err != nil || f.Init != "/sbin/init" {
		t.Errorf("%+v %v", f, err)
	}
}

func TestOpenRefused(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command(need.Command(t, "mksquashfs", "squashfs-tools"), folder(t, system(nil)), image, "-quiet", "-no-progress").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"cut off": b[:len(b)/8], "nothing": []byte("hello"), "its tables are gone": append(slices.Clone(b[:200]), make([]byte, len(b)-200)...)} {
		if err := os.WriteFile(image, content, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Open(t.Context(), t.TempDir(), image)
		if err == nil {
			_, err = r.Look(t.Context(), "", arch.AMD64)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCompareReleases(t *testing.T) {
	ordered := []string{"", "5.4", "5.10.0-8-amd64", "5.10.0-21-amd64", "6.1~rc3", "6.1", "6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-10-cloud-amd64", "6.8.5-301.fc40.x86_64", "6.8.5-1001.fc40.x86_64", "6.10.1-arch1-1"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := CompareReleases(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("CompareReleases(%q, %q) = %d", a, b, got)
			}
		}
	}
}

// Lines of unsquashfs and debugfs give names or nothing.
func FuzzListings(f *testing.F) {
	f.Add("lrwxrwxrwx 0/0                       7 2026-11-28 22:50 squashfs-root/bin -> usr/bin")
	f.Add("crw-rw-rw- 0/0                1,     3 2026-11-28 22:50 squashfs-root/dev/null")
	f.Add("/12/100644/0/0/name/35/")
	f.Fuzz(func(t *testing.T, line string) {
		if name, n := parseListing(line); n != nil && !strings.HasPrefix(name, ".") {
			t.Errorf("%q is the name %q", line, name)
		}
		if e, is := parseExt4Entry(line); is && strings.Contains(e.name, "/") {
			t.Errorf("%q is the name %q", line, e.name)
		}
	})
}

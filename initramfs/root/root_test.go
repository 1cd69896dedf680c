package root

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/inroot"
)

func TestLayers(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	m := newMachine(t)
	m.image("base.img", "ext4", tree{
		"usr/lib/": "", "lib": "-> usr/lib", "usr/bin/": "", "usr/sbin/init": static, "sbin": "-> usr/sbin",
		"etc/who": "base", "etc/only": "base", "gone": "base", "dev/": "", "proc/": "",
	})
	m.image("sub/a:b,c.squashfs", "squashfs", tree{"etc/who": "middle", "gone": "white-out"})
	m.image("top", "erofs", tree{"etc/who": "top", "etc/hostname": "top\n"})
	c := m.config(images("base.img=ext4", "sub/a:b,c.squashfs=squashfs", "top=erofs"))
	p, err := Prepare(t.Context(), c)
	m.must(err)
	root := rootDir(c.Stage)
	for path, want := range map[string]string{"etc/who": "top", "etc/only": "base", "etc/hostname": "top\n"} {
		if got := read(t, filepath.Join(root, path)); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	if _, err := os.Lstat(filepath.Join(root, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a layer removes is there: %v", err)
	}
	release, err := release()
	m.must(err)
	if got := read(t, filepath.Join(root, "usr/lib/modules", release, "kernel/a.ko")); got != "a module" {
		t.Errorf("the kernel's module: %q", got)
	}
	if _, err := os.Stat(filepath.Join(root, "lib/modules", release, "modules.dep.bin")); err != nil {
		t.Errorf("the index for modprobe: %v", err)
	}
	if target, err := os.Readlink(filepath.Join(root, "lib")); err != nil || target != "usr/lib" {
		t.Errorf("/lib: %q, %v", target, err)
	}
	for _, dir := range needed {
		if info, err := os.Lstat(filepath.Join(root, dir)); err != nil || !info.IsDir() {
			t.Errorf("/%s: %v, %v", dir, info, err)
		}
	}
	if info, err := os.Stat(root); err != nil || info.Mode().Perm() != 0o751 {
		t.Errorf("the root folder is %v, not as in the images (%v)", info.Mode(), err)
	}
	m.must(os.WriteFile(filepath.Join(root, "etc/who"), []byte("system"), 0o644))
	if got := read(t, filepath.Join(layerDir(c.Stage, 2), "etc/who")); got != "top" {
		t.Errorf("writing went into the image: %q", got)
	}
	if err := os.WriteFile(filepath.Join(root, "large"), make([]byte, 2<<20), 0o644); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("more than it may write: %v", err)
	}
	m.must(p.Commit())
	s, err := ReadSwitch(c.Wish)
	m.must(err)
	want := Switch{System: "debian", Stage: c.Stage, Systems: systems, Folder: "0123", Init: "/sbin/init", Args: []string{"3"}, Cmdline: true, Hostname: "(none)"}
	want.Loops = p.mounts.loops
	if n := len(s.Loops); n != 3 {
		t.Errorf("%d loop devices", n)
	}
	if fmt.Sprint(s) != fmt.Sprint(want) {
		t.Errorf("the wish: %+v, want %+v", s, want)
	}
	if got := read(t, own(c.Stage, "cmdline")); got != "quiet 3\n" {
		t.Errorf("the command line: %q", got)
	}
	m.must(p.Close())
	m.must(p.Close())
	m.nothingLeft()
	if _, err := ReadSwitch(c.Wish); !errors.Is(err, ErrNone) {
		t.Errorf("the wish of what was taken back: %v", err)
	}
}

// The images can be unmounted by name while a system runs on them, as systemd does at its end; and the next Prepare, of another process,
// clears what a dead one has left.
func TestRunningSystemUnmountsEverything(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	m := newMachine(t)
	m.image("a", "squashfs", tree{"sbin/init": static, "x": "x"})
	m.image("b", "squashfs", tree{"y": "y"})
	c := m.config(images("a=squashfs", "b=squashfs"))
	_, err := Prepare(t.Context(), c)
	m.must(err)
	open, err := os.Open(filepath.Join(rootDir(c.Stage), "x"))
	m.must(err)
	defer open.Close()
	s, err := newSwitch(c, found{}, nil)
	m.must(err)
	dir, err := s.OpenFolder()
	m.must(err)
	m.must(os.MkdirAll(own(c.Stage, "img"), 0o755))
	m.must(unix.Mount(systems, own(c.Stage, "img"), "", unix.MS_MOVE, ""))
	for _, name := range []string{"layers/0", "layers/1", "rw", "modules", "img"} {
		if err := unix.Unmount(own(c.Stage, name), 0); err != nil {
			t.Errorf("unmount %s: %v", name, err)
		}
	}
	if got := read(t, filepath.Join(rootDir(c.Stage), "y")); got != "y" {
		t.Errorf("read from the running system: %q", got)
	}
	if got := read(t, fmt.Sprintf("/proc/self/fd/%d/debian/b", dir.Fd())); !strings.HasPrefix(got, "hsqs") {
		t.Error("the image can't be given away any more")
	}
	m.must(dir.Close())
	m.must(os.MkdirAll(systems, 0o755))
	m.must(unix.Mount("tmpfs", systems, "tmpfs", 0, ""))
	m.image("a", "squashfs", tree{"sbin/init": static, "x": "new"})
	m.image("b", "squashfs", tree{"y": "y"})
	p, err := Prepare(t.Context(), c)
	m.must(err)
	if got := read(t, filepath.Join(rootDir(c.Stage), "x")); got != "new" {
		t.Errorf("after the second Prepare: %q", got)
	}
	m.must(open.Close())
	m.must(p.Close())
	m.nothingLeft()
}

func TestReadOnly(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	m := newMachine(t)
	m.image("a", "erofs", tree{"sbin/init": static, "dev/": "", "proc/": "", "sys/": "", "run/": "", "lib/": ""})
	m.image("b", "squashfs", tree{"b": "b"})
	m.image("less", "erofs", tree{"sbin/init": static, "dev/": "", "proc/": "", "sys/": ""})
	for _, tt := range []struct {
		images  []string
		kernel  string
		problem string
	}{
		{images: []string{"a=erofs"}},
		{images: []string{"a=erofs"}, kernel: "/mnt/kernel"},
		{images: []string{"a=erofs", "b=squashfs"}},
		{images: []string{"less=erofs"}, problem: "no folder /run"},
	} {
		r := images(tt.images...)
		r.Writable = catalog.WritableNone
		c := m.config(r)
		c.Kernel = tt.kernel
		p, err := Prepare(t.Context(), c)
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) || !strings.Contains(err.Error(), "writable: ram") {
				t.Errorf("%v: %v", tt.images, err)
			}
			m.nothingLeft()
			continue
		}
		m.must(err)
		if err := os.WriteFile(filepath.Join(rootDir(c.Stage), "x"), nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("%v: writing: %v", tt.images, err)
		}
		var st unix.Statfs_t
		m.must(unix.Statfs(rootDir(c.Stage), &st))
		if st.Flags&(unix.ST_NOSUID|unix.ST_NODEV) != 0 {
			t.Errorf("%v: neither device nodes nor set-user-ID programs work: flags %#x", tt.images, st.Flags)
		}
		release, err := release()
		m.must(err)
		if _, err := os.Stat(filepath.Join(rootDir(c.Stage), "lib/modules", release, "modules.dep")); (err == nil) != (tt.kernel != "") {
			t.Errorf("%v, modules of %q: %v", tt.images, tt.kernel, err)
		}
		m.must(p.Close())
		m.nothingLeft()
	}
}

func TestManyLayers(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	m := newMachine(t)
	m.image("first", "squashfs", tree{"sbin/init": static, "first": "1", "who": "first"})
	m.image("other", "squashfs", tree{"who": "other"})
	m.image("last", "squashfs", tree{"who": "last"})
	names := slices.Concat([]string{"first=squashfs"}, slices.Repeat([]string{"other=squashfs"}, catalog.MaxLayers-2), []string{"last=squashfs"})
	c := m.config(images(names...))
	p, err := Prepare(t.Context(), c)
	m.must(err)
	for name, want := range map[string]string{"first": "1", "who": "last"} {
		if got := read(t, filepath.Join(rootDir(c.Stage), name)); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if n := len(m.loops()); n != catalog.MaxLayers {
		t.Errorf("%d loop devices", n)
	}
	m.must(p.Close())
	m.nothingLeft()
}

// What can't be started is said with its path and what to do, and nothing stays behind.
func TestRefused(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	m := newMachine(t)
	other := elfProgram(elf.EM_AARCH64, "")
	for i, tt := range []struct {
		name    string
		content tree
		damage  func(path string) error
		fs      string
		want    []string
	}{
		{name: "no init", content: tree{"etc/": ""}, want: []string{"/sbin/init is not in the root file system", "write init:"}},
		{name: "a link out", content: tree{"sbin/init": "-> ../../../../../mnt/kernel/lib/firmware/a.bin"}, want: []string{"/sbin/init is not in"}},
		{name: "a link to nothing", content: tree{"sbin/init": "-> /lib/systemd/systemd"}, want: []string{"/sbin/init is not in"}},
		{name: "a folder", content: tree{"sbin/init/": ""}, want: []string{"/sbin/init is not a file"}},
		{name: "of another machine", content: tree{"sbin/init": other}, want: []string{"/sbin/init is for aarch64", "for amd64", "image"}},
		{name: "no dynamic linker", content: tree{"sbin/init": elfProgram(elf.EM_X86_64, "/lib64/ld-linux-x86-64.so.2")},
			want: []string{"/sbin/init asks to be run by /lib64/ld-linux-x86-64.so.2, which is not in the root", "install it"}},
		{name: "a script without its shell", content: tree{"sbin/init": "#!/bin/bash\n"}, want: []string{"/sbin/init asks to be run by /bin/bash, which is not in"}},
		{name: "not executable", content: tree{"sbin/init": "-> /etc/init", "etc/init": static}, want: []string{"/sbin/init is not executable", "chmod"}},
		{name: "cut off", content: tree{"sbin/init": static, "large": strings.Repeat("x", 1<<20)}, damage: func(p string) error { return os.Truncate(p, 200) },
			want: []string{"truncated squashfs", "the system's folder"}},
		{name: "damaged", content: tree{"sbin/init": static}, damage: scratch, want: []string{"the kernel can't mount the image", "as squashfs", "make it again"}},
		{name: "another file system", content: tree{"sbin/init": static}, fs: "erofs", want: []string{"is squashfs, and the catalog says erofs"}},
		{name: "something else", content: tree{"sbin/init": static}, damage: func(p string) error { return os.WriteFile(p, make([]byte, 4096), 0o644) },
			want: []string{"no squashfs, erofs or ext4"}},
		{name: "gone", content: tree{"sbin/init": static}, damage: os.Remove, want: []string{"no such file"}},
		{name: "/proc is a file", content: tree{"sbin/init": static, "proc": "x"}, want: []string{"/proc in its root file system is not a folder"}},
		{name: "/lib/modules leads elsewhere", content: tree{"sbin/init": static, "lib/modules": "-> /srv", "srv/": ""}, want: []string{"/lib/modules is a link to /srv"}},
	} {
		name := fmt.Sprintf("image%d", i)
		m.image(name, "squashfs", tt.content)
		if tt.damage != nil {
			m.must(tt.damage(filepath.Join(folder, name)))
		}
		kind := tt.fs
		if kind == "" {
			kind = "squashfs"
		}
		p, err := Prepare(t.Context(), m.config(images(name+"="+kind)))
		if err == nil {
			t.Errorf("%s: is taken", tt.name)
			m.must(p.Close())
			continue
		}
		for _, want := range append(tt.want, "debian") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", tt.name, err, want)
			}
		}
		m.nothingLeft()
	}
}

// scratch damages what is behind the superblock of a squashfs, where its tables are.
func scratch(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := 96; i < len(b); i++ {
		b[i] = 0xff
	}
	return os.WriteFile(path, b, 0o644)
}

// Every machine has an identity of its own, whatever the image brings along, and the same at each boot.
func TestMachineID(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	m := newMachine(t)
	const golden = "0123456789abcdef0123456789abcdef\n"
	m.file("/mnt/outside", golden, 0o644)
	for i, tt := range []struct {
		content tree
		kept    string
	}{
		{content: tree{"etc/machine-id": golden}},
		{content: tree{"etc/machine-id": ""}},
		{content: tree{"etc/machine-id": "-> ../var/id", "var/id": golden}},
		{content: tree{"etc/machine-id": "-> ../../../../outside"}, kept: "none"},
		{content: tree{"etc/machine-id": "uninitialized\n"}, kept: "uninitialized\n"},
		{content: tree{"etc/": ""}, kept: "none"},
	} {
		name := fmt.Sprintf("image%d", i)
		tt.content["sbin/init"] = static
		m.image(name, "squashfs", tt.content)
		ids := map[string]bool{}
		for _, identity := range []string{"one", "one", "other"} {
			c := m.config(images(name + "=squashfs"))
			c.Identity = identity
			p, err := Prepare(t.Context(), c)
			m.must(err)
			in, err := inroot.Open(rootDir(c.Stage))
			m.must(err)
			id, err := fs.ReadFile(in, machineIDFile)
			if errors.Is(err, fs.ErrNotExist) {
				id, err = []byte("none"), nil
			}
			m.must(errors.Join(err, in.Close(), p.Close()))
			ids[string(id)] = true
			if tt.kept == "" && (!isMachineID(strings.TrimSpace(string(id))) || string(id) == golden) {
				t.Errorf("%v: %q", tt.content, id)
			}
		}
		if want := 2; tt.kept == "" && len(ids) != want || tt.kept != "" && (len(ids) != 1 || !ids[tt.kept]) {
			t.Errorf("%v: %v", tt.content, ids)
		}
	}
	if got := read(t, "/mnt/outside"); got != golden {
		t.Errorf("a file outside was written: %q", got)
	}
	m.nothingLeft()
}

// A name by the site's rules takes the place of the system's own where that can be written; one by DHCP does not.
func TestHostname(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	m := newMachine(t)
	for i, tt := range []struct {
		own          string
		named        bool
		writable     string
		file, kernel string
	}{
		{"image\n", true, catalog.WritableRAM, "desk-7\n", "desk-7"},
		{"image\n", false, catalog.WritableRAM, "image\n", noHostname},
		{"image\n", true, catalog.WritableNone, "image\n", "desk-7"},
		{"", false, catalog.WritableRAM, "", "desk-7"},
	} {
		name := fmt.Sprintf("named%d", i)
		m.image(name, "squashfs", tree{"sbin/init": static, "etc/hostname": tt.own, "dev/": "", "proc/": "", "sys/": "", "run/": ""})
		c := m.config(images(name + "=squashfs"))
		c.Hostname, c.Named, c.Root.Writable = "desk-7", tt.named, tt.writable
		p, err := Prepare(t.Context(), c)
		m.must(err)
		if got := read(t, filepath.Join(rootDir(c.Stage), hostnameFile)); got != tt.file || p.wish.Hostname != tt.kernel {
			t.Errorf("%+v: the file has %q, the kernel %q", tt, got, p.wish.Hostname)
		}
		m.must(p.Close())
	}
	m.nothingLeft()
}

package roots

import (
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

const mib = 1 << 20

// fileSystem is a file with a file system of a folder.
func fileSystem(t *testing.T, kind, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fs")
	switch kind {
	case "squashfs":
		return squashed(t, dir)
	case "erofs":
		run(t, "erofs-utils", "mkfs.erofs", "-zlz4", file, dir)
	case "ext4":
		run(t, "e2fsprogs", "mke2fs", "-q", "-t", "ext4", "-d", dir, file, "32M")
	case "btrfs":
		run(t, "btrfs-progs", "mkfs.btrfs", "-q", "--rootdir", dir, file)
	case "xfs":
		if err := errors.Join(os.WriteFile(file, nil, 0o644), os.Truncate(file, 320*mib)); err != nil {
			t.Fatal(err)
		}
		prototype := filepath.Join(t.TempDir(), "prototype")
		write(t, prototype, xfsPrototype(dir))
		run(t, "xfsprogs", "mkfs.xfs", "-q", "-p", prototype, file)
	}
	return file
}

// xfsPrototype describes root's files for mkfs.xfs -p; see mkfs.xfs(8).
func xfsPrototype(dir string) string {
	var b strings.Builder
	b.WriteString("/boot\n0 0\nd--755 0 0\n")
	for _, f := range []string{"sbin/init", "etc/os-release", "home/user/file", "usr/bin/gone"} {
		parts := strings.Split(f, "/")
		for _, p := range parts[:len(parts)-1] {
			b.WriteString(p + " d--755 0 0\n")
		}
		b.WriteString(parts[len(parts)-1] + " ---755 0 0 " + filepath.Join(dir, f) + "\n")
		b.WriteString(strings.Repeat("$\n", len(parts)-1))
	}
	b.WriteString("$\n$\n")
	return b.String()
}

// partitioned is a disk with a GPT, or an MBR with a logical partition, whose last and largest partition has the file system in a file.
func partitioned(t *testing.T, label, fs string) string {
	t.Helper()
	tables := map[string]string{
		"gpt": "label: gpt\nsize=20MiB, type=U\nsize=10MiB, type=S\nsize=400MiB, type=L, name=root\n",
		"dos": "label: dos\nsize=20MiB, type=7\ntype=5\nsize=10MiB, type=82\nsize=400MiB, type=83\n",
	}
	disk := filepath.Join(t.TempDir(), "disk.raw")
	if err := errors.Join(os.WriteFile(disk, nil, 0o644), os.Truncate(disk, 450*mib)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), need.Command(t, "sfdisk", "fdisk"), "-q", disk)
	cmd.Stdin = strings.NewReader(tables[label])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	parts, err := partitionTable(t.Context(), disk)
	if err != nil {
		t.Fatal(err)
	}
	last := slices.MaxFunc(slices.DeleteFunc(parts, partition.extended), func(a, b partition) int { return int(a.size - b.size) })
	from, err := os.Open(fs)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.NewOffsetWriter(to, last.offset), from)
	if err := errors.Join(err, to.Close()); err != nil {
		t.Fatal(err)
	}
	return disk
}

func needMount(t *testing.T, kinds ...string) {
	t.Helper()
	need.LoopDevices(t)
	for _, k := range kinds {
		need.FileSystem(t, k)
	}
}

func TestImage(t *testing.T) {
	dir := root(t, elf.EM_X86_64)
	for _, kind := range []string{"squashfs", "erofs"} {
		file := fileSystem(t, kind, dir)
		r, err := imported(t, file)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		a, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(r.dir, "root."+kind)); err != nil || string(a) != string(b) || !strings.Contains(r.config(t), "root: root."+kind+"\n") {
			t.Errorf("%s: it is not as it was: %v\n%s", kind, err, r.config(t))
		}
	}
}

func TestExt4(t *testing.T) {
	needMount(t, "ext4")
	r, err := imported(t, fileSystem(t, "ext4", root(t, elf.EM_X86_64)))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.files(t); got != wantFiles() {
		t.Errorf("files:\n%s", got)
	}
}

// The largest partition with a root is taken, in disks of all kinds, and the others are named.
func TestDisk(t *testing.T) {
	needMount(t, "ext4", "xfs", "btrfs")
	need.Command(t, "qemu-img", "qemu-utils")
	dir := root(t, elf.EM_X86_64)
	ext4 := fileSystem(t, "ext4", dir)
	converted := func(format, disk string) string {
		file := filepath.Join(t.TempDir(), "disk")
		run(t, "qemu-utils", "qemu-img", "convert", "-O", format, disk, file)
		return file
	}
	gpt := partitioned(t, "gpt", ext4)
	var first string
	for _, test := range []struct{ name, source, part string }{
		{"raw with GPT", gpt, `partition 3 \"root\" (400 MiB, ext4)`},
		{"qcow2", converted("qcow2", gpt), `partition 3 \"root\" (400 MiB, ext4)`},
		{"vmdk", converted("vmdk", gpt), `partition 3 \"root\" (400 MiB, ext4)`},
		{"vdi", converted("vdi", gpt), `partition 3 \"root\" (400 MiB, ext4)`},
		{"vhdx", converted("vhdx", gpt), `partition 3 \"root\" (400 MiB, ext4)`},
		{"qcow2 without partitions", converted("qcow2", ext4), "the whole disk"},
		{"logical partition", partitioned(t, "dos", ext4), "partition 6"},
		{"qcow2 with a logical partition", converted("qcow2", partitioned(t, "dos", ext4)), "partition 6"},
		{"xfs", partitioned(t, "gpt", fileSystem(t, "xfs", dir)), "xfs"},
		{"btrfs", partitioned(t, "gpt", fileSystem(t, "btrfs", dir)), "btrfs"},
	} {
		r, err := imported(t, test.source)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := r.files(t); got != wantFiles() {
			t.Errorf("%s: files:\n%s", test.name, got)
		}
		if !strings.Contains(r.table, strings.ReplaceAll(test.part, `\"`, `"`)) {
			t.Errorf("%s: the table does not have %s:\n%s", test.name, test.part, r.table)
		}
		if strings.Contains(test.part, "root") {
			if !strings.Contains(r.log, "partition 2 (10 MiB") || !strings.Contains(r.config(t), "Left aside: ") {
				t.Errorf("%s: other partitions are not named:\n%s", test.name, r.log)
			}
			if first == "" {
				first = image(t, r)
			}
			if image(t, r) != first {
				t.Errorf("%s: it becomes another image", test.name)
			}
		}
	}
}

// A root in one of btrfs's subvolumes is found.
func TestSubvolume(t *testing.T) {
	needMount(t, "btrfs")
	top := t.TempDir()
	if err := os.Rename(root(t, elf.EM_X86_64), filepath.Join(top, "@rootfs")); err != nil {
		t.Fatal(err)
	}
	r, err := imported(t, partitioned(t, "gpt", fileSystem(t, "btrfs", top)))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.files(t); got != wantFiles() {
		t.Errorf("files:\n%s", got)
	}
}

func TestDiskRefused(t *testing.T) {
	needMount(t, "ext4")
	unclean := fileSystem(t, "ext4", root(t, elf.EM_X86_64))
	run(t, "e2fsprogs", "debugfs", "-w", "-R", "feature needs_recovery", unclean)
	magic := func(at int, text string) string {
		file := filepath.Join(t.TempDir(), "fs")
		write(t, file, strings.Repeat("\x00", at)+text+strings.Repeat("\x00", 4096))
		return file
	}
	backed := filepath.Join(t.TempDir(), "backed.qcow2")
	run(t, "qemu-utils", "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", backed)
	whole := partitioned(t, "gpt", unclean)
	packed := filepath.Join(t.TempDir(), "packed.qcow2")
	run(t, "qemu-utils", "qemu-img", "convert", "-O", "qcow2", whole, packed)
	for _, test := range []struct{ name, source, says string }{
		{"a journal that has to be replayed", unclean, "was not unmounted"},
		{"the same on a disk", partitioned(t, "gpt", unclean), "was not unmounted"},
		{"encrypted", partitioned(t, "gpt", magic(0, "LUKS\xba\xbe")), "cryptsetup open"},
		{"LVM", partitioned(t, "gpt", magic(512, "LABELONE")), "vgchange"},
		{"a disk on another file", backed, "qemu-img convert"},
		{"a disk that is cut off", cut(t, whole), "copy it again"},
		{"a disk of a virtual machine that is cut off", cut(t, packed), "the qcow2 disk was cut off"},
	} {
		if _, err := imported(t, test.source); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want it to say %q", test.name, err, test.says)
		}
	}
}

// cut is the first half of a file.
func cut(t *testing.T, file string) string {
	t.Helper()
	info, err := os.Stat(file)
	if err == nil {
		err = os.Truncate(file, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// A disk without Linux is another kind's, or becomes a virtual machine.
func TestDiskWithoutRoot(t *testing.T) {
	needMount(t, "ext4")
	r, err := imported(t, partitioned(t, "gpt", fileSystem(t, "ext4", t.TempDir())))
	if err != nil || !strings.Contains(r.config(t), "method: qemu") || !strings.Contains(r.log, "virtual machine") {
		t.Errorf("%v: %+v", err, r)
	}
	empty := filepath.Join(t.TempDir(), "fs")
	write(t, empty, "")
	if _, err := imported(t, partitioned(t, "gpt", empty)); err == nil || !strings.Contains(err.Error(), "can't be imported") {
		t.Errorf("%v", err)
	}
}

// Nobody imports what needs no mounting, and is told who can do the rest.
func TestAsNobody(t *testing.T) {
	const dir = "ROOTS_TEST_SOURCES"
	if sources := os.Getenv(dir); sources != "" {
		asNobody(t, sources)
		return
	}
	need.Root(t)
	shared, err := os.MkdirTemp("/tmp", "roots-test-") // where nobody may go, unlike t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(shared) })
	folder := root(t, elf.EM_X86_64)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{
		"tar": tarOf(t, folder), "squashfs": fileSystem(t, "squashfs", folder), "erofs": fileSystem(t, "erofs", folder), "ext4": fileSystem(t, "ext4", folder),
		"xfs": partitioned(t, "gpt", fileSystem(t, "xfs", folder)), "test": self,
	} {
		run(t, "coreutils", "cp", "--sparse=always", from, filepath.Join(shared, name))
	}
	run(t, "coreutils", "cp", "-r", ociFolder(t, folder, "amd64"), filepath.Join(shared, "oci"))
	run(t, "coreutils", "chmod", "-R", "a+rX", filepath.Join(shared, "oci")) // umoci makes it for its user alone
	run(t, "coreutils", "cp", "-r", folder, filepath.Join(shared, "secret"))
	if err := errors.Join(os.Chmod(shared, 0o777), os.Chmod(filepath.Join(shared, "secret", "home/user/file"), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(shared, "test"), "-test.run", "^TestAsNobody$", "-test.v")
	cmd.Env = append(os.Environ(), dir+"="+shared, "TMPDIR="+shared, "HOME="+shared)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "SKIP") {
		t.Errorf("%v: %s", err, out)
	}
}

func asNobody(t *testing.T, sources string) {
	for _, name := range []string{"tar", "squashfs", "erofs", "oci"} {
		r, err := imported(t, filepath.Join(sources, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "tar" {
			if got := r.files(t); !strings.Contains(got, "0/0 8000 home/user/file\n") {
				t.Errorf("%s: files:\n%s", name, got)
			}
		}
		if _, err := os.Stat(filepath.Join(r.dir, site.SystemFile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, says := range map[string]string{
		"secret": "run this as root, or import a tar of it that root made", "xfs": "only root can read xfs; run this as root",
		"ext4": "the kernel of phase 1 has no ext4",
	} {
		if _, err := imported(t, filepath.Join(sources, name)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want it to say %q", name, err, says)
		}
	}
}

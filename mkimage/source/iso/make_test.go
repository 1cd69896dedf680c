package iso

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/roottest"
)

// files are what a folder is to have: by their paths, their contents.
type files map[string][]byte

// release is that of all kernels here.
const release = "6.1.0-9-amd64"

// root is a root file system with an init; kernel and modules are what it has of these.
func root(kernel, modules string) files {
	f := files{"sbin/init": roottest.Program(elf.EM_X86_64), "etc/os-release": []byte("PRETTY_NAME=\"Test Linux 1\"\n")}
	if kernel != "" {
		f["boot/vmlinuz-"+kernel] = roottest.Kernel(kernel)
	}
	if modules != "" {
		dir := "usr/lib/modules/" + modules + "/"
		builtin := ""
		for _, name := range []string{"fs/squashfs/squashfs", "fs/overlayfs/overlay", "fs/erofs/erofs", "fs/ext4/ext4", "drivers/block/loop", "drivers/net/virtio_net"} {
			builtin += "kernel/" + name + ".ko\n"
		}
		f[dir+"kernel/README"], f[dir+"modules.builtin"] = []byte("none"), []byte(builtin)
		for _, name := range []string{"modules.dep", "modules.alias", "modules.softdep", "modules.symbols", "modules.order"} {
			f[dir+name] = nil
		}
	}
	return f
}

// with is these files and others.
func (f files) with(others files) files {
	all := files{}
	for _, part := range []files{f, others} {
		for name, content := range part {
			all[name] = content
		}
	}
	return all
}

// folder writes files.
func (f files) folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range f {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// made runs a tool that makes a file, and returns that.
func made(t *testing.T, tool, pkg string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "OUT", out)
	}
	if said, err := exec.Command(need.Command(t, tool, pkg), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, said)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// squashfs, erofs and ext4 are images of files, the same at every time.
func (f files) squashfs(t *testing.T) []byte {
	return made(t, "mksquashfs", "squashfs-tools", f.folder(t), "OUT", "-quiet", "-no-progress", "-all-root", "-all-time", "0", "-mkfs-time", "0")
}

func (f files) erofs(t *testing.T) []byte {
	return made(t, "mkfs.erofs", "erofs-utils", "-T0", "-U00000000-0000-0000-0000-000000000001", "--all-root", "OUT", f.folder(t))
}

func (f files) ext4(t *testing.T) []byte {
	return made(t, "mke2fs", "e2fsprogs", "-q", "-t", "ext4", "-d", f.folder(t), "OUT", "8M")
}

// iso is the path of a CD image of files.
func (f files) iso(t *testing.T, options ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "the source.iso")
	if err := os.WriteFile(path, f.isoBytes(t, options...), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (f files) isoBytes(t *testing.T, options ...string) []byte {
	t.Helper()
	args := append([]string{"-as", "mkisofs", "-quiet", "-R", "-V", "TEST_ISO", "-o", "OUT"}, options...)
	return made(t, "xorriso", "xorriso", append(args, f.folder(t))...)
}

// initrd is an initramfs like Ubuntu's: an archive that is not compressed, and one that is.
func initrd(t *testing.T, content files) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write(cpio(files{"kernel/x86/microcode/x.bin": []byte("microcode")}))
	b.Write(make([]byte, 512))
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(cpio(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// cpio is an archive in the form newc.
func cpio(f files) []byte {
	var b bytes.Buffer
	record := func(name string, content []byte) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", 0, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
		b.Write(content)
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	for name, content := range f {
		record(name, content)
	}
	record("TRAILER!!!", nil)
	return b.Bytes()
}

// grub is a menu with one entry.
func grub(kernel, initrd, cmdline string) []byte {
	return []byte(fmt.Sprintf("menuentry 'Start' {\n linux /%s %s\n initrd /%s\n}\n", kernel, cmdline, initrd))
}

// module is a kernel module by what it says of itself.
func module(modinfo ...string) []byte {
	info, names := []byte(strings.Join(modinfo, "\x00")+"\x00"), []byte("\x00.modinfo\x00.shstrtab\x00")
	const headerSize, sectionSize = 64, 64
	h := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: headerSize, Shentsize: sectionSize, Shnum: 3, Shstrndx: 2,
		Shoff: uint64(headerSize + len(info) + len(names)),
	}
	copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	var b bytes.Buffer
	for _, part := range []any{h, info, names, elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: headerSize, Size: uint64(len(info))},
		elf.Section64{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(headerSize + len(info)), Size: uint64(len(names))},
	} {
		_ = binary.Write(&b, binary.LittleEndian, part) // a buffer takes everything
	}
	return b.Bytes()
}

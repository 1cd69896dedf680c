package need

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
)

// What follows asks the kernel of this host, by programs that are not ours, for what not every kernel can. Where it can't, a test
// that is also made inside a node, whose kernel is known, is skipped, under CI=true as well: room names the test of a room
// that makes it there. Without a room it is a failure under CI=true, like everything else that is missing.

// Programs32 needs a kernel that runs 32-bit programs of x86 (Linux: CONFIG_IA32_EMULATION, ia32_emulation=).
func Programs32(t testing.TB, room string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "exit")
	if err := os.WriteFile(path, program32(), 0o755); err != nil {
		t.Fatal(err)
	}
	kernel(t, "runs no 32-bit programs of x86", room, exec.Command(path))
}

// program32 is the smallest 32-bit program there is: it ends with exit code 0.
func program32() []byte {
	const base = 0x08048000
	code := []byte{
		0x31, 0xc0, // xor eax, eax
		0x40,       // inc eax: exit(2)
		0x31, 0xdb, // xor ebx, ebx
		0xcd, 0x80, // int 0x80
	}
	header := elf.Header32{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_386), Version: uint32(elf.EV_CURRENT), Phnum: 1,
	}
	segment := elf.Prog32{Type: uint32(elf.PT_LOAD), Vaddr: base, Paddr: base, Flags: uint32(elf.PF_R | elf.PF_X), Align: 0x1000}
	header.Ehsize, header.Phentsize = uint16(binary.Size(header)), uint16(binary.Size(segment))
	header.Phoff = uint32(header.Ehsize)
	at := uint32(header.Ehsize + header.Phentsize)
	header.Entry = base + at
	segment.Filesz = at + uint32(len(code))
	segment.Memsz = segment.Filesz
	var b bytes.Buffer
	for _, part := range []any{header, segment, code} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err) // bytes.Buffer takes everything
		}
	}
	return b.Bytes()
}

// VLAN needs a kernel that makes VLANs (Linux: 8021q).
func VLAN(t testing.TB, room string) {
	t.Helper()
	Namespaces(t)
	kernel(t, "makes no VLANs", room, exec.Command("unshare", "--net", "ip", "link", "add", "link", "lo", "name", "probe", "type", "vlan", "id", "2"))
}

// Overlay needs a kernel with overlayfs, above tmpfs.
func Overlay(t testing.TB, room string) {
	t.Helper()
	Namespaces(t)
	script := `mount -t tmpfs probe "$1" && mkdir "$1/lower" "$1/upper" "$1/work" "$1/all" &&
mount -t overlay probe -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/all"`
	kernel(t, "has no overlayfs", room, exec.Command("unshare", "--mount", "sh", "-c", script, "sh", t.TempDir()))
}

// Namespaces needs root, and a kernel and a container that let it make namespaces with veth pairs in them, and mount.
func Namespaces(t testing.TB) {
	t.Helper()
	Root(t)
	Command(t, "ip", "iproute2")
	Command(t, "unshare", "util-linux")
	kernel(t, "lets root make no namespaces", "", exec.Command("unshare", "--net", "--mount", "--uts", "sh", "-c",
		`ip link add probe type veth peer name other && mount -t tmpfs probe "$1"`, "sh", t.TempDir()))
}

// LoopDevices needs root, and a kernel with a free loop device.
func LoopDevices(t testing.TB) {
	t.Helper()
	Root(t)
	kernel(t, "has no free loop device", "", exec.Command(Command(t, "losetup", "mount"), "--find"))
}

// FileSystem needs a kernel that mounts a kind of file system, such as ext4.
func FileSystem(t testing.TB, kind string) {
	t.Helper()
	kernel(t, "mounts no "+kind, "", exec.Command("sh", "-c", `grep -qw "$1" /proc/filesystems || modprobe "$1"`, "sh", kind))
}

// kernel runs a probe and, if it fails, ends the test.
func kernel(t testing.TB, cannot, room string, probe *exec.Cmd) {
	t.Helper()
	out, err := probe.CombinedOutput()
	if err == nil {
		return
	}
	reason := fmt.Sprintf("this host's kernel %s: %v %s", cannot, err, strings.TrimSpace(string(out)))
	if room == "" {
		missing(t, "%s", reason)
		return
	}
	t.Skipf("%s; %s of integration does it inside a node", reason, room)
}

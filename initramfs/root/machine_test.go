package root

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// inNamespace runs a test a second time in a mount namespace of its own, where it returns true and the test may mount what it likes.
func inNamespace(t *testing.T) bool {
	const inside = "BOOTTORRENT_TEST_INSIDE"
	if os.Getenv(inside) == t.Name() {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	need.LoopDevices(t)
	need.Overlay(t, "TestDebianWithoutKexec")
	for _, fs := range catalog.ImageFileSystems {
		need.FileSystem(t, fs)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.timeout=5m", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("in its namespace: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("in its namespace:\n%s", out)
	}
	return false
}

// machine is a node's file systems: a tmpfs on /mnt with systems (a tmpfs), stage, and kernel (with modules of the running kernel).
type machine struct{ t *testing.T }

const (
	systems = "/mnt/systems"
	folder  = systems + "/0123/debian"
)

func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{t}
	m.must(unix.Mount("tmpfs", "/mnt", "tmpfs", 0, ""))
	m.must(os.MkdirAll(systems, 0o755))
	m.must(unix.Mount("tmpfs", systems, "tmpfs", 0, ""))
	m.must(os.MkdirAll(folder, 0o755))
	release, err := release()
	m.must(err)
	m.file("/mnt/kernel/lib/modules/"+release+"/modules.dep", "kernel/a.ko:\n", 0o644)
	m.file("/mnt/kernel/lib/modules/"+release+"/kernel/a.ko", "a module", 0o644)
	m.file("/mnt/kernel/lib/firmware/a.bin", "firmware", 0o644)
	return m
}

func (m machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) file(path, content string, mode fs.FileMode) {
	m.t.Helper()
	m.must(os.MkdirAll(filepath.Dir(path), 0o755))
	m.must(os.WriteFile(path, []byte(content), mode))
	m.must(os.Chmod(path, mode))
}

// tree is what is in an image: contents by path. "-> TARGET" is a link, "white-out" what hides a file of a lower layer, a path that ends
// with a slash a folder. Everything below sbin and bin is executable.
type tree map[string]string

// image makes an image of a tree.
func (m machine) image(name, kind string, content tree) {
	m.t.Helper()
	dir := m.t.TempDir()
	m.must(os.Chmod(dir, 0o751))
	for path, text := range content {
		full := filepath.Join(dir, path)
		m.must(os.MkdirAll(filepath.Dir(full), 0o755))
		link, isLink := strings.CutPrefix(text, "-> ")
		switch {
		case strings.HasSuffix(path, "/"):
			m.must(os.MkdirAll(full, 0o755))
		case isLink:
			m.must(os.Symlink(link, full))
		case text == "white-out": // Documentation/filesystems/overlayfs.rst
			m.must(unix.Mknod(full, unix.S_IFCHR, 0))
		default:
			mode := fs.FileMode(0o644)
			if strings.Contains(filepath.Dir(path), "bin") {
				mode = 0o755
			}
			m.file(full, text, mode)
		}
	}
	out := filepath.Join(folder, name)
	m.must(os.MkdirAll(filepath.Dir(out), 0o755))
	commands := map[string][]string{
		"squashfs": {need.Command(m.t, "mksquashfs", "squashfs-tools"), dir, out, "-noappend", "-quiet", "-no-progress"},
		"erofs":    {need.Command(m.t, "mkfs.erofs", "erofs-utils"), "--quiet", out, dir},
		"ext4":     {need.Command(m.t, "mkfs.ext4", "e2fsprogs"), "-q", "-d", dir, out, "8M"},
	}
	if said, err := exec.Command(commands[kind][0], commands[kind][1:]...).CombinedOutput(); err != nil {
		m.t.Fatalf("%s: %v\n%s", commands[kind][0], err, said)
	}
}

func (m machine) config(r catalog.Root) Config {
	return Config{
		Name: "debian", Root: r, Dir: folder, Cmdline: "quiet 3", Hostname: "dhcp", Writable: 1 << 20, Kernel: "/mnt/kernel",
		Stage: "/mnt/stage", Wish: "/mnt/switch.json", Log: m.t.Logf,
	}
}

// nothingLeft fails if something is mounted below the stage, or if a loop device has one of the images.
func (m machine) nothingLeft() {
	m.t.Helper()
	found, err := mountinfo.GetMounts(mountinfo.PrefixFilter("/mnt/stage"))
	m.must(err)
	for _, f := range found {
		m.t.Errorf("left: %s", f.Mountpoint)
	}
	// The kernel frees a loop device a moment after its last user has gone.
	for end := time.Now().Add(need.Patience); ; time.Sleep(10 * time.Millisecond) {
		busy := m.loops()
		if len(busy) == 0 {
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("loop devices in use: %v", busy)
		}
	}
}

// loops are the loop devices with files of this test's systems. Those are on a mount that nobody sees, so only their inodes tell.
func (m machine) loops() []string {
	m.t.Helper()
	var st unix.Stat_t
	m.must(unix.Stat(systems, &st))
	devices, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	m.must(err)
	var found []string
	for _, d := range devices {
		device := "/dev/" + strings.Split(d, "/")[3]
		f, err := os.Open(device)
		if err != nil {
			continue
		}
		info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
		f.Close()
		if err == nil && info.Device == unixDevice(st.Dev) {
			found = append(found, device)
		}
	}
	return found
}

// unixDevice is a device's number as LOOP_GET_STATUS64 has it (huge_encode_dev in include/linux/kdev_t.h).
func unixDevice(dev uint64) uint64 {
	major, minor := uint64(unix.Major(dev)), uint64(unix.Minor(dev))
	return minor&0xff | major<<8 | (minor&^0xff)<<12
}

// elfProgram is an ELF program, which asks for a dynamic linker if that has a name.
func elfProgram(machine elf.Machine, linker string) string {
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Ehsize: 64, Phoff: 64, Phentsize: 56, Phnum: 1, Shentsize: 64,
	}
	copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	p := elf.Prog64{Type: uint32(elf.PT_LOAD)}
	if linker != "" {
		p = elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 64 + 56, Filesz: uint64(len(linker)) + 1}
	}
	var b bytes.Buffer
	for _, part := range []any{h, p, []byte(linker + "\x00")} {
		_ = binary.Write(&b, binary.LittleEndian, part)
	}
	return b.String()
}

// static is a program that needs nothing.
var static = elfProgram(elf.EM_X86_64, "")

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

package qemu

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/qemuargs"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

func find(t *testing.T, guest arch.Arch) *Installation {
	t.Helper()
	if guest == arch.ARM64 {
		need.Command(t, "qemu-system-aarch64", "qemu-system-arm")
		need.File(t, uefi[0], "qemu-efi-aarch64")
	} else {
		need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	}
	i, err := Find(guest)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// ldd is the referee: the archive has all libraries that it names, and no others but those of QEMU's modules.
func TestLibraries(t *testing.T) {
	ldd := need.Command(t, "ldd", "libc-bin")
	i := find(t, arch.AMD64)
	want := map[string]bool{}
	for _, file := range append([]string{i.Binary}, i.plugins()...) {
		out, err := exec.Command(ldd, file).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if name, _, ok := strings.Cut(strings.TrimSpace(line), " => "); ok {
				want[name] = true
			}
		}
	}
	for name := range want {
		if i.files["lib/"+name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	for name := range i.files {
		if base, ok := strings.CutPrefix(name, "lib/"); ok && !want[base] && name != qemuruntime.Loader && !strings.HasPrefix(base, "ld-linux") {
			t.Errorf("%s is packed, and ldd does not name it", name)
		}
	}
}

// plugins are the files of the modules that were found.
func (i *Installation) plugins() (files []string) {
	for name, file := range i.files {
		if strings.HasPrefix(name, qemuruntime.Plugins+"/") {
			files = append(files, file)
		}
	}
	return files
}

func TestFindWithoutQEMU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for guest, install := range map[arch.Arch]string{arch.AMD64: "apt-get install qemu-system-x86", arch.ARM64: "apt-get install qemu-system-arm qemu-efi-aarch64"} {
		if _, err := Find(guest); err == nil || !strings.Contains(err.Error(), install) {
			t.Errorf("%s: %v", guest, err)
		}
	}
}

// A program that needs a library which isn't there: it is named, and nothing is added.
func TestMissingLibrary(t *testing.T) {
	gcc := need.Command(t, "gcc", "gcc")
	dir := t.TempDir()
	for _, step := range [][]string{
		{"-shared", "-x", "c", "-o", "libabsent.so", "-"}, {"-x", "c", "-o", "program", "-", "-L.", "-Wl,--no-as-needed", "-labsent"},
	} {
		cmd := exec.Command(gcc, step...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader("int main(void) { return 0; }")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("gcc: %v\n%s", err, said)
		}
	}
	i := &Installation{Guest: arch.AMD64, files: map[string]string{}}
	file := filepath.Join(dir, "program")
	if err := i.addNeeded(file); err == nil || !strings.Contains(err.Error(), file) || len(i.files) > 0 {
		t.Errorf("%v, found %v", err, i.files)
	}
}

// modules writes an archive as mkimage does, with a file that would leave its folder.
func modules(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), qemuruntime.ImageModules)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"6.1.0-9-amd64/order", "6.1.0-9-amd64/kvm.ko", "../out"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 4}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("text")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

// A small installation, so that packing takes no time.
func small(t *testing.T) *Installation {
	t.Helper()
	dir := t.TempDir()
	i := &Installation{Binary: "/bin/true", Guest: arch.AMD64, files: map[string]string{}}
	for _, name := range []string{qemuruntime.Binary(arch.AMD64), qemuruntime.Loader, "share/bios.bin", "lib/libx.so"} {
		file := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(file, []byte(name+" content"), 0o600); err != nil {
			t.Fatal(err)
		}
		i.files[name] = file
	}
	return i
}

// read reads an archive, and unpacks it to a folder if that is not empty.
func read(t *testing.T, file, to string) map[string]*tar.Header {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(window))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	entries := map[string]*tar.Header{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		entries[h.Name] = h
		if to == "" {
			continue
		}
		at := filepath.Join(to, h.Name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, content, os.FileMode(h.Mode))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPack(t *testing.T) {
	i, dir, mods := small(t), t.TempDir(), modules(t)
	if err := os.Mkdir(filepath.Join(dir, "tmp-interrupted"), 0o755); err != nil {
		t.Fatal(err)
	}
	packings := 0
	pack := func() Packed {
		t.Helper()
		p, err := i.Pack(t.Context(), dir, mods, func() { packings++ })
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := pack()
	entries := read(t, filepath.Join(p.System.Dir, qemuruntime.Archive), "")
	size := int64(0)
	for name, mode := range map[string]int64{qemuruntime.Binary(arch.AMD64): 0o755, qemuruntime.Loader: 0o755, "share/bios.bin": 0o644, "lib/libx.so": 0o644,
		"modules/6.1.0-9-amd64/order": 0o644, "modules/6.1.0-9-amd64/kvm.ko": 0o644} {
		h := entries[name]
		if h == nil || h.Mode != mode || h.Uid != 0 || !h.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s: %+v", name, h)
			continue
		}
		size += h.Size
	}
	if len(entries) != 6 || size != p.Unpacked || p.System.Name != qemuruntime.Name || !slices.Equal(p.System.Files, []string{qemuruntime.Archive}) {
		t.Errorf("%d entries of %d bytes, %+v", len(entries), size, p)
	}
	first, err := os.ReadFile(filepath.Join(p.System.Dir, qemuruntime.Archive))
	if err != nil {
		t.Fatal(err)
	}
	// The same again is not packed again; with another file it is, to the other bytes, and back to the same.
	if again := pack(); again.System.Dir != p.System.Dir || again.Unpacked != p.Unpacked || packings != 1 {
		t.Errorf("packed %d times: %+v", packings, again)
	}
	bios := i.files["share/bios.bin"]
	if err := os.WriteFile(bios, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if other := pack(); other.System.Dir == p.System.Dir || packings != 2 {
		t.Errorf("a changed file: packed %d times, %+v", packings, other)
	}
	if err := os.WriteFile(bios, []byte("share/bios.bin content"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(filepath.Join(pack().System.Dir, qemuruntime.Archive))
	if err != nil || sha256.Sum256(first) != sha256.Sum256(second) {
		t.Errorf("the same files give other bytes: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	// What a power cut left, or somebody removed, is made again.
	for _, name := range []string{qemuruntime.Archive, factsFile} {
		damaged := filepath.Join(pack().System.Dir, name)
		if err := os.Truncate(damaged, 0); err != nil {
			t.Fatal(err)
		}
		before := packings
		if info, err := os.Stat(filepath.Join(pack().System.Dir, name)); err != nil || info.Size() == 0 || packings != before+1 {
			t.Errorf("%s was damaged: %v, packed %d times", name, err, packings-before)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := i.Pack(ctx, t.TempDir(), mods, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := os.Remove(bios); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Pack(t.Context(), dir, mods, nil); err == nil || !strings.Contains(err.Error(), "restart the seeder") {
		t.Errorf("a file that vanished: %v", err)
	}
}

// bootSector writes a marker to the first serial port and stops: mov dx, 0x3f8; mov si, text; lodsb; test al, al; out dx, al.
func bootSector(text string) []byte {
	code := []byte{
		0xfa,       // cli
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0xbe, 0x18, 0x7c, // mov si, 0x7c18
		0xac,       // lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz +3
		0xee,       // out dx, al
		0xeb, 0xf8, // jmp -8
		0xf4,       // hlt
		0xeb, 0xfd, // jmp -3
	}
	sector := make([]byte, 1440<<10)
	copy(sector, code)
	copy(sector[0x18:], text)
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}

// What is in the archive runs where nothing else is: in a root of its own.
func TestRunsAlone(t *testing.T) {
	const marker = "ALONE-AND-WELL\n"
	// What asks for modules, firmware and a keymap; each that is missing keeps QEMU from starting.
	args := []string{"-fda", "floppy.img", "-snapshot", "-k", "de", "-vga", "virtio", "-usb", "-device", "usb-tablet", "-device", "virtio-gpu-pci", "-net", "none"}
	for _, card := range []string{"e1000", "e1000e", "rtl8139", "virtio-net-pci", "vmxnet3", "pcnet", "ne2k_pci", "i82551"} {
		args = append(args, "-device", card)
	}
	runsAlone(t, find(t, arch.AMD64), marker, args)
}

// The firmware of an arm64 guest comes up on its serial line.
func TestARM64RunsAlone(t *testing.T) {
	args := []string{"-machine", qemuargs.UsualMachine(arch.ARM64), "-cpu", "max", "-bios", qemuruntime.ARM64Firmware, "-k", "de", "-device", "virtio-gpu-pci",
		"-device", "qemu-xhci", "-device", "usb-kbd", "-device", "usb-tablet", "-device", "ramfb", "-net", "none"}
	for _, card := range []string{"e1000", "e1000e", "virtio-net-pci"} {
		args = append(args, "-device", card)
	}
	runsAlone(t, find(t, arch.ARM64), "UEFI firmware", args)
}

// runsAlone starts a packed QEMU and waits for what its guest's serial line says.
func runsAlone(t *testing.T, i *Installation, marker string, args []string) {
	t.Helper()
	need.Root(t)
	dir := t.TempDir()
	p, err := i.Pack(t.Context(), dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(p.System.Dir, qemuruntime.Archive)
	info, err := os.Stat(archive)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %.2f MiB, unpacked %.2f MiB", p.Version, float64(info.Size())/(1<<20), float64(p.Unpacked)/(1<<20))
	if info.Size() > 20<<20 {
		t.Errorf("the runtime has %d bytes, more than 20 MiB", info.Size())
	}
	root := t.TempDir()
	read(t, archive, root)
	if err := errors.Join(
		os.WriteFile(filepath.Join(root, "floppy.img"), bootSector(marker), 0o644),
		os.Mkdir(filepath.Join(root, "scratch"), 0o755), os.Mkdir(filepath.Join(root, "dev"), 0o755),
		unix.Mknod(filepath.Join(root, "dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
	); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/"+qemuruntime.Loader, "--library-path", "/"+qemuruntime.Libraries, "/"+qemuruntime.Binary(i.Guest),
		"-L", "/"+qemuruntime.Share, "-accel", "tcg", "-display", "none", "-vnc", "unix:/scratch/vnc", "-serial", "file:/scratch/serial")
	cmd.Args = append(cmd.Args, args...)
	cmd.Env = []string{"QEMU_MODULE_DIR=/" + qemuruntime.Plugins, "TMPDIR=/scratch"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		serial, _ := os.ReadFile(filepath.Join(root, "scratch/serial"))
		if strings.Contains(string(serial), marker) {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("QEMU ended: %v\n%s", err, &said)
		case <-tick.C:
		}
	}
	cancel()
	<-ended
}

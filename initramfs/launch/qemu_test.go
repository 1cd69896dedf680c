package launch

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// echoSector is a boot sector that shows "READY" and then every key, by the BIOS alone.
func echoSector() []byte {
	disk := make([]byte, 1440<<10)
	copy(disk, []byte{
		0x31, 0xc0, 0x8e, 0xd8, // xor ax, ax; mov ds, ax
		0xbe, 0x20, 0x7c, // mov si, text
		0xac, 0x84, 0xc0, 0x74, 0x06, // next: lodsb; test al, al; jz keys
		0xb4, 0x0e, 0xcd, 0x10, // mov ah, 0x0e; int 0x10
		0xeb, 0xf5, // jmp next
		0x31, 0xc0, 0xcd, 0x16, // keys: xor ax, ax; int 0x16
		0xb4, 0x0e, 0xcd, 0x10, // mov ah, 0x0e; int 0x10
		0xeb, 0xf6, // jmp keys
	})
	copy(disk[0x20:], "READY\r\n\x00")
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

// scribbleSector is a boot sector that writes 32 KiB over the beginning of the first hard disk, and shows how that went: ~ or !.
func scribbleSector() []byte {
	disk := make([]byte, 1440<<10)
	copy(disk, []byte{
		0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, // xor ax, ax; mov ds, ax; mov es, ax
		0xb8, 0x40, 0x03, // mov ax, 0x0340: write 64 sectors
		0xbb, 0x00, 0x7c, // mov bx, 0x7c00: this one first
		0xb9, 0x01, 0x00, 0xba, 0x80, 0x00, // mov cx, 1; mov dx, 0x80
		0xcd, 0x13, // int 0x13
		0xb0, '~', 0x73, 0x02, 0xb0, '!', // mov al, ~; jnc show; mov al, !
		0xb4, 0x0e, 0xcd, 0x10, // show: mov ah, 0x0e; int 0x10
		0xf4, 0xeb, 0xfd, // hlt; jmp -3
	})
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

// virtualJob is a job with these arguments, whose runtime is this machine's QEMU: as if it had been unpacked.
func virtualJob(t *testing.T, q catalog.QEMU, files map[string][]byte) (*qemuMethod, Job) {
	t.Helper()
	guest := arch.Arch(q.Guest)
	packages := map[arch.Arch]string{"": "qemu-system-x86", arch.ARM64: "qemu-system-arm"}
	program := need.Command(t, qemuruntime.Program(guest), packages[guest])
	need.File(t, "/usr/share/seabios/bios-256k.bin", "seabios")
	dir, err := os.MkdirTemp("", "qemu") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	job := Job{System: catalog.System{Name: "guest", Title: "Guest", Launch: catalog.Launch{Method: catalog.MethodQEMU, QEMU: &q}},
		Dir: filepath.Join(dir, "system"), Scratch: filepath.Join(dir, "scratch"), Vars: map[string]string{"IP": "127.0.0.1"}}
	for _, folder := range []string{job.Dir, job.Scratch, filepath.Join(job.unpacked(), "bin"), filepath.Join(job.unpacked(), "lib")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		qemuruntime.Binary(guest): program, qemuruntime.Loader: "/lib64/ld-linux-x86-64.so.2",
		qemuruntime.Plugins: "/usr/lib/x86_64-linux-gnu/qemu",
	} {
		if err := os.Symlink(target, filepath.Join(job.unpacked(), link)); err != nil {
			t.Fatal(err)
		}
	}
	linkFirmware(t, filepath.Join(job.unpacked(), qemuruntime.Share))
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(job.Dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := newQEMU(catalog.Runtime{})
	m.kvm = func() error { return errors.New("not in a test") }
	m.available = func() (int64, error) { return 600 << 20, nil }
	m.workspace = plainWorkspace
	return m, job
}

// linkFirmware makes one folder of those in which Debian has QEMU's firmware.
func linkFirmware(t *testing.T, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/usr/share/seabios", "/usr/share/qemu"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.Symlink(filepath.Join(dir, e.Name()), filepath.Join(to, e.Name())); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
	}
}

// An arm64 guest on this node, whatever that is: its UEFI comes up in text, with nothing in its arguments but a disc.
func TestQEMUForARM64(t *testing.T) {
	uefi := need.File(t, "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "qemu-efi-aarch64")
	for display, want := range map[string]Face{catalog.DisplaySerial: FaceTerminal, catalog.DisplayScreen: FaceScreen} {
		m, job := virtualJob(t, catalog.QEMU{Guest: "arm64", Args: []string{"-cdrom", "disc.iso"}, Display: display}, map[string][]byte{"disc.iso": make([]byte, 1<<20)})
		job.Framebuffer = true
		if err := os.Symlink(uefi, filepath.Join(job.unpacked(), qemuruntime.Share, qemuruntime.ARM64Firmware)); err != nil {
			t.Fatal(err)
		}
		g := startVirtual(t, m, job)
		if g.Face() != want {
			t.Errorf("display %s: face %v", display, g.Face())
		}
		if want == FaceTerminal {
			tty := newFakeTerminal(t)
			attached(t, g, tty)
			tty.wait(t, "UEFI firmware")
		}
		g.Stop()
		if exit := g.Exit(); exit.Reason != "ended by this node" {
			t.Errorf("display %s: it had ended before: %+v", display, exit)
		}
	}
}

// startVirtual starts it.
func startVirtual(t *testing.T, m *qemuMethod, job Job) Guest {
	t.Helper()
	g, err := m.Start(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// A guest in text: what its BIOS shows, and the keys that it gets; it is left, goes on, and is quit.
func TestQEMUOnATerminal(t *testing.T) {
	m, job := virtualJob(t, catalog.QEMU{Args: []string{"-fda", "boot.img"}}, map[string][]byte{"boot.img": echoSector()})
	log := logTo(&job)
	g := startVirtual(t, m, job)
	if g.Face() != FaceTerminal || len(g.Notes()) != 1 || !strings.HasPrefix(g.Notes()[0], "emulated without KVM") || !strings.Contains(log.text(), "emulated without KVM") {
		t.Errorf("face %v, log:\n%s", g.Face(), log.text())
	}
	tty := newFakeTerminal(t)
	left := attached(t, g, tty)
	tty.wait(t, "READY")
	tty.typeKeys(t, "z")
	tty.wait(t, "z")
	tty.typeKeys(t, "\x1d")
	if err := within(t, "leaving", left); !errors.Is(err, ErrLeft) {
		t.Errorf("left with %v", err)
	}
	again := newFakeTerminal(t)
	ended := attached(t, g, again)
	again.wait(t, "READY") // of before
	g.Stop()
	if err := within(t, "the end", ended); err != nil {
		t.Errorf("the end: %v", err)
	}
	if exit := g.Exit(); exit.System != "guest" || exit.Reason != "ended by this node" {
		t.Errorf("%+v", exit)
	}
}

// Arguments of the original's sites about how a guest is shown: a real QEMU takes them beside the node's own.
func TestQEMUTakesOldArguments(t *testing.T) {
	for args, want := range map[string]Face{
		"-nographic -fda boot.img": FaceTerminal, "-sdl -full-screen -daemonize -serial stdio -fda boot.img": FaceScreen,
		"-display none -monitor stdio -fda boot.img": FaceScreen,
	} {
		m, job := virtualJob(t, catalog.QEMU{Args: strings.Fields(args)}, map[string][]byte{"boot.img": echoSector()})
		job.Framebuffer = true
		g := startVirtual(t, m, job)
		if g.Face() != want {
			t.Errorf("%s: face %v", args, g.Face())
		}
		if want == FaceTerminal {
			tty := newFakeTerminal(t)
			attached(t, g, tty)
			tty.wait(t, "READY")
		}
		g.Stop()
		if exit := g.Exit(); exit.Reason != "ended by this node" {
			t.Errorf("%s: it had ended before: %+v", args, exit)
		}
	}
}

// What a guest writes is not in the files of its system.
func TestQEMUWritesNothing(t *testing.T) {
	precious := bytes.Repeat([]byte("precious"), 1<<17)
	m, job := virtualJob(t, catalog.QEMU{Args: []string{"-fda", "boot.img", "-drive", "file=disk.img,format=raw", "-boot", "a"}},
		map[string][]byte{"boot.img": scribbleSector(), "disk.img": precious})
	g := startVirtual(t, m, job)
	tty := newFakeTerminal(t)
	attached(t, g, tty)
	tty.wait(t, "~")
	g.Stop()
	if body, err := os.ReadFile(filepath.Join(job.Dir, "disk.img")); err != nil || !bytes.Equal(body, precious) {
		t.Errorf("the disk image was changed: %v", err)
	}
}

// Arguments that QEMU refuses: its own words come back at once, and nothing stays.
func TestQEMURefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-cdrom gone.iso": "gone.iso", "-device no-such-card": "no-such-card", "-m 128 -machine nonsense": "nonsense",
	} {
		m, job := virtualJob(t, catalog.QEMU{Args: strings.Fields(args)}, nil)
		_, err := m.Start(t.Context(), job)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "start guest: ") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// A guest that is shown on the network asks for its password, which nobody finds on a command line.
func TestQEMUOnTheNetwork(t *testing.T) {
	m, job := virtualJob(t, catalog.QEMU{Args: []string{"-fda", "boot.img"}, Display: catalog.DisplayVNC, VNCPassword: "secret12"},
		map[string][]byte{"boot.img": echoSector()})
	log := logTo(&job)
	g := startVirtual(t, m, job)
	if g.Face() != FaceRemote || !strings.Contains(log.text(), "VNC at 127.0.0.1, port 5900") || strings.Contains(log.text(), "secret12") {
		t.Errorf("face %v, log:\n%s", g.Face(), log.text())
	}
	conn, err := net.Dial("tcp4", "127.0.0.1:5900")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	greeting := make([]byte, 12)
	if _, err := conn.Read(greeting); err != nil || string(greeting) != "RFB 003.008\n" {
		t.Fatalf("%q, %v", greeting, err)
	}
	if _, err := conn.Write(greeting); err != nil {
		t.Fatal(err)
	}
	// RFC 6143 section 7.1.2: the number of ways to prove oneself, and the ways; 2 is by a password.
	ways := make([]byte, 2)
	if _, err := conn.Read(ways); err != nil || !bytes.Equal(ways, []byte{1, 2}) {
		t.Errorf("offered are %v, %v", ways, err)
	}
	if _, err := os.Stat(filepath.Join(job.Scratch, "secret")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the password is still in a file: %v", err)
	}
}

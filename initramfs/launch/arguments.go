package launch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/qemuargs"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// What a guest in QEMU takes, in bytes.
const (
	// leastGuest is the memory of the smallest machine that is worth starting; QEMU's own default.
	leastGuest = 128 << 20
	// qemuOwn is QEMU itself without its files: 26 MiB at the BIOS's prompt, with 16 MiB of video memory in it; up to 16 MiB
	// more for the copies of a large picture that its VNC server keeps, and the buffers of its disks.
	qemuOwn = 64 << 20
	// qemuTranslated is the buffer for translated code where there is no KVM. QEMU's default is an eighth of the memory up
	// to 1 GiB.
	qemuTranslated = 64 << 20
	// qemuTables is what it notes per processor about translated code and pages then.
	qemuTables = 16 << 20
)

// facts is what a virtual machine's arguments depend on beside the operator's.
type facts struct {
	// System is the name, Title what people call it.
	System, Title string
	// Guest is the guest's architecture; amd64 if empty.
	Guest arch.Arch
	// Available is the node's free memory in bytes.
	Available int64
	// Processors is the number of the node's cores.
	Processors int
	// KVM says why there is none; nil: it works.
	KVM error
	// Framebuffer says that the node can show a picture.
	Framebuffer bool
	// IP is the node's address, for DisplayVNC.
	IP string
	// Share is the folder of QEMU's firmware; Socket is where its VNC server is to listen for the viewer; Secret is the file with
	// the password.
	Share, Socket, Secret string
}

// machine is a virtual machine that was decided on.
type machine struct {
	// args are QEMU's.
	args []string
	face Face
	// written is how many bytes the guest may write to its disks.
	written int64
	// notes are what a person should know: what is different from what was asked for.
	notes []string
}

func (m *machine) add(words ...string) { m.args = append(m.args, words...) }

func (m *machine) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// arguments decides what the operator's arguments, whose placeholders are expanded, leave open. What they set stays, but for
// what a node can't have: windows, and KVM where there is none. The error is a *MemoryError where memory is too small.
func arguments(q *catalog.QEMU, words []string, f facts) (machine, error) {
	var m machine
	opts := m.possible(qemuargs.Parse(words), f)
	m.args = opts.Words()
	if !opts.Has("name") {
		m.add("-name", "guest="+qemuargs.Escape(f.System))
	}
	if !opts.Has("no-user-config", "nodefconfig") {
		m.add("-no-user-config")
	}
	m.accelerate(opts, f)
	if err := m.memory(opts, f); err != nil {
		return machine{}, err
	}
	m.disks(opts)
	m.firmware(opts, f)
	m.network(opts, f)
	m.display(q, opts, f)
	// Behind the operator's own -L, which are looked at first.
	m.add("-L", f.Share)
	return m, nil
}

// possible takes out what would keep QEMU from starting on any node, or on this one.
func (m *machine) possible(opts qemuargs.Options, f facts) qemuargs.Options {
	opts, dropped := opts.Without(qemuargs.WantsWindow)
	if len(dropped) > 0 {
		m.note("left out, as there are no windows on a node: %s", strings.Join(dropped, " "))
	}
	opts, dropped = opts.Without(func(o qemuargs.Option) bool { return o.Name == "daemonize" })
	if len(dropped) > 0 {
		m.note("left out: -daemonize, as the node watches QEMU itself")
	}
	if asked := opts.Accelerators(); f.KVM != nil && slices.Contains(asked, "kvm") && !slices.Contains(asked, "tcg") {
		// It is asked for because it is faster. A slow guest is better than none.
		m.note("its arguments ask for KVM, which this node does not have")
		opts, _ = opts.WithoutKVM(f.Guest)
	}
	if emulated(opts, f) {
		var changed bool
		if opts, changed = opts.WithoutHost(f.Guest); changed {
			m.note("its arguments ask for the node's own processor (-cpu host), which only KVM has; it gets an emulated one (-cpu max)")
		}
	}
	return opts
}

// emulated says that the guest's processor is emulated.
func emulated(opts qemuargs.Options, f facts) bool {
	asked := opts.Accelerators()
	return f.KVM != nil || len(asked) > 0 && asked[0] != "kvm"
}

// accelerate decides how, and by how many processors, the guest's code is run.
func (m *machine) accelerate(opts qemuargs.Options, f facts) {
	if len(opts.Accelerators()) == 0 {
		if f.KVM == nil {
			m.add("-accel", "kvm")
		} else {
			m.add("-accel", "tcg,tb-size="+strconv.Itoa(qemuTranslated>>20))
		}
	}
	if f.KVM != nil {
		m.note("emulated without KVM, which is slow: %v", f.KVM)
	}
	if machine := qemuargs.UsualMachine(f.Guest); machine != "" && opts.Machine() == "" {
		m.add("-machine", machine)
	}
	if !f.usual(opts) {
		return // QEMU knows better what else such a machine takes
	}
	if !opts.Has("cpu") {
		// QEMU's default, qemu64, is less than what many systems are built for today (x86-64-v2).
		if emulated(opts, f) {
			m.add("-cpu", qemuargs.Emulated(f.Guest))
		} else {
			m.add("-cpu", "max")
		}
	}
	if !opts.Has("smp") && f.Processors > 1 {
		m.add("-smp", strconv.Itoa(min(f.Processors, f.mostProcessors(opts))))
	}
}

// usual says that the guest's machine is one of those whose devices a node knows.
func (f facts) usual(opts qemuargs.Options) bool {
	if f.Guest == arch.ARM64 {
		return opts.Virt()
	}
	return opts.PC()
}

// mostProcessors is how many the machine type takes: pc 255; virt with the interrupt controller of its own choice, GICv2, 8.
func (f facts) mostProcessors(opts qemuargs.Options) int {
	if f.Guest == arch.ARM64 && opts.Machine() != "" {
		return 8
	}
	return 255
}

// firmware gives an arm64 guest its UEFI, as the machine type virt has none of its own; a kernel that is named starts without.
func (m *machine) firmware(opts qemuargs.Options, f facts) {
	flash := slices.ContainsFunc(opts.Values("drive"), func(d string) bool {
		kind, _ := qemuargs.Property(d, "if")
		return kind == "pflash"
	})
	if f.Guest == arch.ARM64 && opts.Virt() && !flash && !opts.Has("bios", "pflash", "kernel") {
		m.add("-bios", qemuruntime.ARM64Firmware)
	}
}

// overhead is QEMU's own memory.
func overhead(opts qemuargs.Options, f facts) int64 {
	own := int64(qemuOwn)
	if emulated(opts, f) {
		own += qemuTranslated + qemuTables*int64(max(1, f.Processors))
	}
	return own
}

// memory divides what is free: a reserve for the node, QEMU's own, room for what the guest writes, and the rest for the guest.
func (m *machine) memory(opts qemuargs.Options, f facts) error {
	own := overhead(opts, f)
	free := f.Available - Reserve - own
	share := int64(16)
	if opts.Writable() {
		share = 4
	}
	m.written = max(leastWritten, free/share)
	guest := opts.Memory()
	asked := guest > 0
	if asked {
		m.written = max(leastWritten, min(m.written, free-guest))
	} else {
		m.written = max(leastWritten, min(m.written, free-leastGuest))
		guest = (free - m.written) &^ (4<<20 - 1)
	}
	if need := max(guest, leastGuest); !asked && guest < leastGuest || guest+m.written > free {
		if asked {
			need = guest
		}
		return &MemoryError{System: f.System, Reserve: Reserve, Free: f.Available,
			Need: Memory{Copies: own + need + leastWritten, What: whatQEMU(own, need)}}
	}
	if !opts.Has("m") {
		m.add("-m", strconv.FormatInt(guest>>20, 10))
	}
	return nil
}

// whatQEMU says in a MemoryError what the sum is of.
func whatQEMU(own, guest int64) string {
	return fmt.Sprintf("QEMU (%s for itself, %s for its guest, %s for what that writes)", mib(own), mib(guest), mib(leastWritten))
}

// disks keeps writes off the images: QEMU collects them in temporary files that hold no more than what was written. The
// working directory protects the images too, but there the first byte written takes a copy of the whole file.
func (m *machine) disks(opts qemuargs.Options) {
	// A saved state is found in the image itself only.
	if !opts.Has("snapshot", "loadvm") {
		m.add("-snapshot")
	}
}

// network gives the guest a network card behind the node's address. It is an e1000, as QEMU's default is: systems of the last
// twenty-five years have its driver. It has no option ROM, whose only use would be to boot from a network that has nothing
// to boot. An arm64 guest's is virtio's, as systems for it have that driver.
func (m *machine) network(opts qemuargs.Options, f facts) {
	card := "e1000"
	if f.Guest == arch.ARM64 {
		card = "virtio-net-pci"
	}
	if f.usual(opts) && !opts.Has("nic", "net", "netdev", "nodefaults") {
		m.add("-netdev", "user,id=bt-net", "-device", card+",netdev=bt-net,romfile=")
	}
}

// display decides how people see the guest.
func (m *machine) display(q *catalog.QEMU, opts qemuargs.Options, f facts) {
	m.add("-display", "none") // beside VNC; otherwise QEMU looks for a desktop
	kind := q.Display
	switch {
	case kind == catalog.DisplayScreen && !f.Framebuffer:
		m.note("this node has no frame buffer for its screen, so its serial line is shown")
		kind = catalog.DisplaySerial
	case kind == "" && (!f.Framebuffer || opts.Has("nographic")):
		kind = catalog.DisplaySerial
	}
	switch kind {
	case catalog.DisplaySerial:
		m.face = FaceTerminal
		m.serial(opts)
		return
	case catalog.DisplayVNC:
		m.face = FaceRemote
		m.add("-object", "secret,id=bt-vnc,file="+qemuargs.Escape(f.Secret), "-vnc", f.IP+":0,password-secret=bt-vnc")
		m.note("its screen is on the network: VNC at %s, port 5900, with the password from the site's configuration", f.IP)
	default:
		m.face = FaceScreen
		m.add("-vnc", "unix:"+qemuargs.Escape(f.Socket))
	}
	m.noMonitor(opts)
	if f.Guest == arch.ARM64 {
		m.screen(opts)
		return
	}
	m.pointer(opts)
}

// serial connects the guest's first serial line with QEMU's standard input and output. Without graphics the BIOS writes there
// what it would write to the screen, and so do the programs that use it (SeaBIOS: etc/sercon-port).
func (m *machine) serial(opts qemuargs.Options) {
	m.add("-machine", "graphics=off")
	if opts.Has("nographic") {
		return // which does the same, with the monitor behind Ctrl+A C
	}
	m.noMonitor(opts)
	usesStdio := slices.ContainsFunc(opts, func(o qemuargs.Option) bool {
		return slices.Contains(qemuargs.Elements(strings.TrimPrefix(o.Value, "mon:")), "stdio")
	})
	switch {
	case opts.Has("serial") && !usesStdio:
		m.note("its arguments send its serial line elsewhere, so nothing of it is shown here")
	case opts.Has("serial"), usesStdio:
	default:
		m.add("-chardev", "stdio,id=bt-console,signal=off", "-serial", "chardev:bt-console")
	}
}

// noMonitor keeps QEMU's monitor, from which every file of the node can be read, from being a key chord away on the screen.
func (m *machine) noMonitor(opts qemuargs.Options) {
	if !opts.Has("monitor", "mon", "nographic") {
		m.add("-monitor", "none")
	}
}

// pointer gives the guest a mouse that knows where it is, as VNC tells where the viewer's pointer is. A PS/2 mouse is there
// beside it, and QEMU uses that until the guest's driver has asked the tablet for its first position: so guests without
// a driver for USB have a mouse, too, which can get out of step with the pointer.
func (m *machine) pointer(opts qemuargs.Options) {
	if opts.PC() && !opts.Has("nodefaults", "usbdevice") && !opts.HasDevice("tablet", "mouse") {
		m.add("-usb", "-device", "usb-tablet")
	}
}

// screen gives an arm64 guest a graphics card, a keyboard and a mouse, of which the machine type virt has none. They are those that its
// UEFI and Linux have drivers for.
func (m *machine) screen(opts qemuargs.Options) {
	if !opts.Virt() || opts.Has("nodefaults") {
		return
	}
	if !opts.HasDevice("gpu", "ramfb", "vga") && !opts.Has("vga") {
		m.add("-device", "virtio-gpu-pci")
	}
	if !opts.HasDevice("xhci", "kbd", "keyboard", "tablet", "mouse") && !opts.Has("usbdevice", "usb") {
		m.add("-device", "qemu-xhci", "-device", "usb-kbd", "-device", "usb-tablet")
	}
}

package qemuargs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// WantsWindow says that an option is about QEMU's own window on a desktop, which nodes leave out.
func WantsWindow(o Option) bool {
	if o.Name == "display" {
		kind, _ := Property(o.Value, "")
		return slices.Contains([]string{"gtk", "sdl", "cocoa", "curses", "spice-app", "dbus", "egl-headless", "default"}, kind)
	}
	return slices.Contains([]string{"sdl", "gtk", "curses", "full-screen", "no-frame", "no-quit", "alt-grab", "ctrl-grab", "show-cursor"}, o.Name)
}

// refused are options that would take the guest from the node's control, or can't work there, and what to do instead.
var refused = map[string]string{
	"daemonize": "leave it out: the node waits for QEMU", "nographic": "write display: serial", "curses": "write display: serial",
	"sdl": "leave it out: the guest's screen is on the node's", "spice": "write display: vnc", "vnc": "write display: vnc",
	"full-screen": "leave it out: the guest's screen fills the node's as it is", "S": "leave it out: nobody would start the guest",
	"incoming": "leave it out: nothing comes in", "runas": "leave it out: a node has one user", "chroot": "leave it out",
	"qmp": "leave it out: the node has one of its own", "pidfile": "leave it out", "sandbox": "leave it out",
	"L": "leave it out: firmware is in the runtime; other firmware is named by -bios", "readconfig": "write its content as args",
	"version": "leave it out", "help": "leave it out", "h": "leave it out", "audio-help": "leave it out",
	"preconfig": "leave it out: nobody would start the guest", "add-fd": "leave it out: QEMU has no open files on a node",
}

// onStdio are options that can be connected to standard input and output, which a node has none of for a guest.
var onStdio = []string{"serial", "monitor", "mon", "chardev", "parallel", "debugcon", "virtioconsole", "qmp-pretty"}

// OnStdio reports whether an option connects something with QEMU's standard input and output.
func (o Option) OnStdio() bool {
	return slices.Contains(onStdio, o.Name) && strings.Contains(o.Value, "stdio")
}

// Refused says what to do instead of an option that can't be used on a node; empty: nothing speaks against it.
func (o Option) Refused() (do string) {
	switch {
	case o.Name == "display":
		return "leave it out, or write display: screen, serial or vnc as a key of its own"
	case o.OnStdio():
		return "leave it out, or write display: serial"
	case o.Value == "help" || o.Value == "?":
		return "leave it out: QEMU lists what it has, and ends"
	}
	return refused[o.Name]
}

// gone are the options that QEMU up to 7.2 no longer has, with the version that took each out and what replaces it
// (docs/about/removed-features.rst; for what went before 2.10 the ChangeLog pages of QEMU's wiki).
var gone = map[string]struct{ since, successor string }{
	"hdachs":                 {"2.12", "write -drive if=none,id=dr,file=… -device ide-hd,drive=dr,cyls=C,heads=H,secs=S"},
	"no-kvm-pit":             {"2.12", "leave it out"},
	"tdf":                    {"2.12", "leave it out"},
	"no-kvm-irqchip":         {"3.0", "write -machine kernel_irqchip=off"},
	"no-kvm-pit-reinjection": {"3.0", "write -global kvm-pit.lost_tick_policy=discard"},
	"balloon":                {"3.1", "write -device virtio-balloon"},
	"bootp":                  {"3.1", "write -nic user,bootp=FILE"},
	"redir":                  {"3.1", "write -nic user,hostfwd=tcp::HOSTPORT-:GUESTPORT"},
	"smb":                    {"3.1", "write -nic user,smb=FOLDER"},
	"tftp":                   {"3.1", "write -nic user,tftp=FOLDER"},
	"localtime":              {"3.1", "write -rtc base=localtime"},
	"nodefconfig":            {"3.1", "write -no-user-config"},
	"rtc-td-hack":            {"3.1", "write -rtc driftfix=slew"},
	"startdate":              {"3.1", "write -rtc base=DATE"},
	"no-kvm":                 {"5.2", "write -accel tcg"},
	"realtime":               {"6.0", "write -overcommit mem-lock=on"},
	"tb-size":                {"6.0", "write -accel tcg,tb-size=MEGABYTES"},
	"soundhw":                {"7.1", ""}, // see sound
	"enable-fips":            {"7.1", "leave it out"},
	"writeconfig":            {"7.1", "leave it out"},
	"watchdog":               {"7.2", "write -device MODEL, as in -device i6300esb"},
	"std-vga":                {"1.0", "write -vga std"},
	"enable-nesting":         {"1.0", "write -cpu host"},
	"pcidevice":              {"1.3", "write -device vfio-pci,host=…"},
	"clock":                  {"2.4", "leave it out"},
	"kvm-shadow-memory":      {"3.0", "write -machine kvm-shadow-mem=BYTES"},
	"osk":                    {"1.0", "write -device isa-applesmc,osk=…"},
	"no-virtio":              {"1.0", "leave it out"},
	"nvram":                  {"1.0", "leave it out"},
}

// sound are the devices of -soundhw.
var sound = map[string]string{
	"ac97": "-device AC97", "es1370": "-device ES1370", "sb16": "-device sb16", "adlib": "-device adlib", "gus": "-device gus",
	"cs4231a": "-device cs4231a", "hda": "-device intel-hda -device hda-duplex", "pcspk": "-machine pcspk-audiodev=snd -audiodev none,id=snd",
}

// Gone says what is wrong with an option that QEMU took by 1.0 and takes no more in 7.2, and what to write instead; empty: nothing.
func (o Option) Gone() (what, do string) {
	if g, ok := gone[o.Name]; ok && o.Name != "" {
		what = fmt.Sprintf("%s is no longer an option of QEMU (since %s)", o, g.since)
		if o.Name == "soundhw" {
			return what, soundSuccessor(o.Value)
		}
		return what, g.successor
	}
	if what, do := o.goneValue(); what != "" {
		return fmt.Sprintf("%s: %s", o, what), do
	}
	return "", ""
}

func soundSuccessor(cards string) string {
	var devices []string
	for card := range strings.SplitSeq(cards, ",") {
		if d := sound[card]; d != "" {
			devices = append(devices, d)
		}
	}
	if len(devices) == 0 {
		return "write -device and a sound card, as in -device AC97"
	}
	return "write " + strings.Join(devices, " ")
}

// goneDevices are the names of -device that QEMU no longer has.
var goneDevices = map[string]string{
	"ide-drive": "ide-hd or ide-cd", "scsi-disk": "scsi-hd or scsi-cd", "pci-assign": "vfio-pci",
	"kvm-pci-assign": "vfio-pci", "ivshmem": "ivshmem-plain",
}

// goneValue says what is no longer possible in an option that there still is.
func (o Option) goneValue() (what, do string) {
	has := func(key string) bool { _, ok := Property(o.Value, key); return ok }
	kind, _ := Property(o.Value, "")
	switch o.Name {
	case "net":
		switch {
		case has("vlan"):
			return "QEMU has no vlan= any more (since 3.0)", "leave vlan= out, or write -nic user,model=… in place of both -net"
		case kind == "dump":
			return "QEMU has no -net dump any more (since 2.12)", "write -object filter-dump,id=ID,netdev=NET,file=FILE"
		case kind == "channel":
			return "QEMU has no -net channel any more (since 2.12)", "write -nic user,guestfwd=…"
		case has("name"):
			return "QEMU has no name= here any more (since 5.1)", "write id= in its place"
		}
	case "drive":
		for _, key := range []string{"cyls", "heads", "secs", "trans", "serial", "addr"} {
			if has(key) {
				return fmt.Sprintf("QEMU has no %s= here any more (since 3.0)", key), fmt.Sprintf("write -drive if=none,id=dr,… -device ide-hd,drive=dr,%s=…", key)
			}
		}
		if has("boot") {
			return "QEMU has no boot= here any more (since 2.0)", "leave it out, or write -boot order=c"
		}
	case "usbdevice":
		device, _, _ := strings.Cut(o.Value, ":")
		switch device {
		case "disk":
			return "QEMU has no -usbdevice disk any more (since 3.0)", "write -usb -drive if=none,id=stick,file=… -device usb-storage,drive=stick"
		case "host":
			return "QEMU has no -usbdevice host any more (since 3.0)", "write -usb -device usb-host,…"
		case "serial", "net", "bt", "audio", "ccid":
			return fmt.Sprintf("QEMU has no -usbdevice %s any more", device), "write -usb -device usb-" + device
		}
	case "device":
		if successor := goneDevices[kind]; successor != "" {
			return "QEMU has no such device any more", "write -device " + successor
		}
	case "M", "machine":
		return goneMachine(Options{o}.Machine())
	case "vnc":
		for _, key := range []string{"tls", "x509", "x509verify", "acl"} {
			if has(key) {
				return fmt.Sprintf("QEMU has no %s= here any more", key), "write display: vnc"
			}
		}
	}
	return "", ""
}

// goneMachine knows the machine types that QEMU 7.2 no longer has.
func goneMachine(name string) (what, do string) {
	const noMachine = "QEMU has no such machine any more"
	switch {
	case strings.HasPrefix(name, "pc-0."), slices.Contains([]string{"pc-1.0", "pc-1.1", "pc-1.2", "pc-1.3"}, name):
		return noMachine, "write -machine pc"
	case strings.HasPrefix(name, "pc-q35-1."), slices.Contains([]string{"pc-q35-2.0", "pc-q35-2.1", "pc-q35-2.2", "pc-q35-2.3"}, name):
		return noMachine, "write -machine q35"
	}
	return "", ""
}

// WithoutKVM takes out what demands KVM, and puts the emulated processor max in the place of host, which exists with KVM
// only. changed says that something was.
func (opts Options) WithoutKVM(guest arch.Arch) (kept Options, changed bool) {
	for _, o := range opts {
		switch o.Name {
		case "enable-kvm", "accel":
			changed = true
			continue
		case "M", "machine":
			rest := slices.DeleteFunc(Elements(o.Value), func(e string) bool {
				return strings.HasPrefix(e, "accel=") || strings.HasPrefix(e, "kernel_irqchip=") || strings.HasPrefix(e, "kernel-irqchip=") ||
					strings.HasPrefix(e, "kvm-shadow-mem=") || e == "gic-version=host"
			})
			changed = changed || len(rest) < len(Elements(o.Value))
			if len(rest) == 0 {
				continue
			}
			o.Value = Join(rest)
		}
		kept = append(kept, o)
	}
	kept, host := kept.WithoutHost(guest)
	return kept, changed || host
}

// Emulated is the processor that stands in for host, of a guest's architecture. Of PCs page tables of five levels are trouble for older boot
// loaders, and slow; of arm64 the architected algorithm of pointer authentication takes half of the time, and guests can't tell.
func Emulated(guest arch.Arch) string {
	if guest == arch.ARM64 {
		return "max,pauth-impdef=on"
	}
	return "max,la57=off"
}

// WithoutHost puts the emulated processor max in the place of host.
func (opts Options) WithoutHost(guest arch.Arch) (kept Options, changed bool) {
	kept = slices.Clone(opts)
	for i, o := range kept {
		if model, _ := Property(o.Value, ""); o.Name == "cpu" && model == "host" {
			kept[i].Value = strings.Join([]string{Emulated(guest), strings.TrimPrefix(strings.TrimPrefix(o.Value, "host"), ",")}, ",")
			kept[i].Value = strings.TrimSuffix(kept[i].Value, ",")
			changed = true
		}
	}
	return kept, changed
}

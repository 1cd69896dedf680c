package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// qmpFD is the file descriptor that QEMU inherits for its control socket: the first after standard error.
const qmpFD = 3

// qemuArgs are the arguments for a complete configuration. Files that QEMU writes to are put into scratch.
func qemuArgs(c NodeConfig, accel, scratch string) ([]string, error) {
	args := []string{
		"-name", c.Name, "-uuid", c.UUID,
		"-machine", c.modelArgument(), "-accel", c.accelerator(accel), "-cpu", c.machine().cpu,
		"-m", fmt.Sprint(c.MemoryMiB), "-smp", fmt.Sprint(c.CPUs),
		"-nodefaults", "-no-user-config", "-display", "none",
		// Nothing runs until its end of the control socket says so.
		"-S", "-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", qmpFD), "-mon", "chardev=qmp,mode=control",
		"-device", "virtio-rng-pci",
		"-boot", "menu=off,strict=on",
	}
	if !c.NoSerial {
		args = append(args, "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console")
	}
	if !c.NoDisplay {
		args = append(args, c.machine().screen...)
	}
	if c.NoReboot {
		args = append(args, "-no-reboot")
	}
	if c.Kernel != "" {
		args = append(args, "-kernel", c.Kernel, "-append", c.Cmdline)
	}
	if c.Initrd != "" {
		args = append(args, "-initrd", c.Initrd)
	}
	if c.Firmware.isUEFI() {
		flash, err := flashArgs(c, scratch)
		if err != nil {
			return nil, err
		}
		args = append(args, flash...)
	}
	args = append(args, diskArgs(c.Disks)...)
	for i, n := range c.NICs {
		args = append(args, nicArgs(i, n, len(c.Disks))...)
	}
	return append(args, c.Args...), nil
}

// flashArgs gives a machine UEFI firmware with a copy of the variables to write to.
func flashArgs(c NodeConfig, scratch string) ([]string, error) {
	m := c.machine()
	places := m.flash[c.Firmware]
	for _, place := range places {
		code, from := place[0], place[1]
		if c.Variables != "" {
			from = c.Variables
		}
		if _, err := os.Stat(code); err != nil {
			continue
		}
		vars, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("the firmware's variables: %w", err)
		}
		own := filepath.Join(scratch, "vars.fd")
		if err := os.WriteFile(own, vars, 0o600); err != nil {
			return nil, err
		}
		args := []string{
			"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + escape(code),
			"-drive", "if=pflash,unit=1,format=raw,file=" + escape(own),
		}
		if c.Firmware == SecureUEFI {
			args = append(args, m.secure...)
		}
		return args, nil
	}
	return nil, fmt.Errorf("no UEFI firmware at %s; apt-get install %s", places[0][0], m.pkg)
}

// ownDisks is the place of a machine's own disk in the order of what is booted from: behind all network cards.
const ownDisks = 100

func diskArgs(disks []Disk) []string {
	var args []string
	for i, d := range disks {
		drive := fmt.Sprintf("if=none,id=disk%d,format=raw,file=%s", i, escape(d.Path))
		switch {
		case d.CD:
			drive += ",media=cdrom,readonly=on"
		case !d.Writable:
			drive += ",snapshot=on"
		}
		args = append(args, "-drive", drive)
		model := "virtio-blk-pci"
		switch {
		case d.CD:
			model = fmt.Sprintf("ide-cd,bus=ide.%d", i) // of q35's AHCI controller, which has six
		case d.USB:
			args = append(args, "-device", fmt.Sprintf("qemu-xhci,id=usb%d", i))
			model = fmt.Sprintf("usb-storage,bus=usb%d.0", i)
		}
		place := i + 1
		if d.Own {
			model, place = fmt.Sprintf("ide-hd,bus=ide.%d", i), ownDisks+i
		}
		args = append(args, "-device", fmt.Sprintf("%s,drive=disk%d,bootindex=%d", model, i, place))
	}
	return args
}

func nicArgs(i int, n NIC, disks int) []string {
	device := fmt.Sprintf("%s,id=%s,netdev=net%d,mac=%s,bootindex=%d", n.Model, nicID(i), i, n.MAC, disks+i+1)
	switch n.ROM {
	case "":
	case "none":
		device += ",romfile="
	default:
		device += ",romfile=" + escape(n.ROM)
	}
	return []string{
		"-netdev", fmt.Sprintf("tap,id=net%d,ifname=%s,script=no,downscript=no", i, tapName(i)),
		"-device", device,
	}
}

// nicID is QEMU's name for a node's card of that index.
func nicID(i int) string { return fmt.Sprintf("nic%d", i) }

// tapName is the interface in the node's namespace.
func tapName(i int) string { return fmt.Sprintf("tap%d", i) }

// escape doubles commas, which separate options otherwise.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }

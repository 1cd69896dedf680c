// Init is the only program of the tiny system: it proves that a machine got there, and with what.
//
// Description:
//
//	As process 1 of a Linux kernel it mounts /proc, /sys and /dev, loads the modules named in /lib/modules-tiny/order,
//	and prints on every active console (those of /sys/class/tty/console/active):
//
//		BOOTTORRENT-TINY-OK
//		kernel=6.1.0-56-amd64
//		uptime=3.42
//		mac=eth0 52:54:00:00:01:01
//		cmdline=console=ttyS0 …
//		files=what is in /etc/for-machines, if there is such a file
//		firmware=acpi,efi
//		padding=67108864
//		BOOTTORRENT-TINY-END: r reboots, any other key powers off
//
//	with one mac line a network card, and a module= line for each module that did not load. Then it waits for a key on
//	any console. With tiny.poweroff or tiny.reboot on the kernel's command line it does that at once.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Places within the initramfs; package tiny puts the files there.
const (
	modulesDir = "/lib/modules-tiny"
	orderFile  = modulesDir + "/order"
	padding    = "/padding"
	// forMachines is what a site's files for machines may have.
	forMachines = "/etc/for-machines"
)

func main() {
	problems := mount()
	// The kernel's messages would come in between the lines.
	_ = os.WriteFile("/proc/sys/kernel/printk", []byte("1"), 0)
	problems = append(problems, loadModules()...)
	consoles := openConsoles()
	cmdline, _ := os.ReadFile("/proc/cmdline")
	say(consoles, block(string(bytes.TrimSpace(cmdline)), problems))

	words := strings.Fields(string(cmdline))
	switch {
	case slices.Contains(words, "tiny.poweroff"):
		end(consoles, unix.LINUX_REBOOT_CMD_POWER_OFF, "tiny.poweroff: power off")
	case slices.Contains(words, "tiny.reboot"):
		end(consoles, unix.LINUX_REBOOT_CMD_RESTART, "tiny.reboot: reboot")
	case awaitKey(consoles) == 'r':
		end(consoles, unix.LINUX_REBOOT_CMD_RESTART, "key r: reboot")
	default:
		end(consoles, unix.LINUX_REBOOT_CMD_POWER_OFF, "key: power off")
	}
}

func mount() (problems []string) {
	for target, fs := range map[string]string{"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs"} {
		_ = os.Mkdir(target, 0o755)
		// The kernel may have mounted /dev by itself.
		if err := unix.Mount(fs, target, fs, 0, ""); err != nil && err != unix.EBUSY {
			problems = append(problems, fmt.Sprintf("mount=%s: %v", target, err))
		}
	}
	return problems
}

// loadModules loads the modules in their order, and waits a little for the first card to show up.
func loadModules() (problems []string) {
	order, err := os.ReadFile(orderFile)
	if err != nil {
		return nil // a system without modules
	}
	for _, name := range strings.Fields(string(order)) {
		if err := loadModule(filepath.Join(modulesDir, name)); err != nil && err != unix.EEXIST {
			problems = append(problems, fmt.Sprintf("module=%s: %v", name, err))
		}
	}
	for range 20 {
		if len(cards()) > 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return problems
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

// cards returns "NAME MAC" of each network card.
func cards() []string {
	var out []string
	paths, _ := filepath.Glob("/sys/class/net/*/address")
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		if mac, err := os.ReadFile(path); err == nil && name != "lo" {
			out = append(out, name+" "+strings.TrimSpace(string(mac)))
		}
	}
	return out
}

// firmware is what of it the kernel has found its way to.
func firmware() string {
	var found []string
	for name, path := range map[string]string{"acpi": "/sys/firmware/acpi/tables", "devicetree": "/proc/device-tree/compatible", "efi": "/sys/firmware/efi/systab"} {
		if _, err := os.Stat(path); err == nil {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return strings.Join(found, ",")
}

// block is what is printed.
func block(cmdline string, problems []string) string {
	lines := []string{"", "BOOTTORRENT-TINY-OK"}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		lines = append(lines, "kernel="+strings.TrimSpace(string(release)))
	}
	if uptime, err := os.ReadFile("/proc/uptime"); err == nil {
		seconds, _, _ := strings.Cut(string(uptime), " ")
		lines = append(lines, "uptime="+seconds)
	}
	for _, c := range cards() {
		lines = append(lines, "mac="+c)
	}
	lines = append(lines, "cmdline="+cmdline)
	if text, err := os.ReadFile(forMachines); err == nil {
		lines = append(lines, "files="+strings.TrimSpace(string(text)))
	}
	lines = append(lines, "firmware="+firmware())
	if info, err := os.Stat(padding); err == nil {
		lines = append(lines, fmt.Sprintf("padding=%d", info.Size()))
	}
	lines = append(lines, problems...)
	return strings.Join(append(lines, "BOOTTORRENT-TINY-END: r reboots, any other key powers off"), "\n")
}

func end(consoles []*os.File, how int, why string) {
	say(consoles, why)
	for _, c := range consoles {
		// What is said should be out before the machine is off: TCSBRK with an argument is tcdrain(3).
		_ = unix.IoctlSetInt(int(c.Fd()), unix.TCSBRK, 1)
	}
	unix.Sync()
	err := unix.Reboot(how)
	say(consoles, fmt.Sprintf("reboot(2): %v", err))
	select {}
}

// Init is PID 1 of a node: it mounts what a node needs and runs the command boot, again whenever that ends without a
// decision, reboots or powers off when boot says so, and becomes the init of a system that boot has mounted.
//
// Description:
//
// PID 1 does next to nothing itself on purpose: the kernel panics when it dies. What can run out of memory or trip over a
// bug is its child; init says how the child died, waits a little and starts it anew.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/u-root/u-root/pkg/libinit"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/kmsg"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// program is what init runs.
const program = "/bbin/boot"

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: the kernel starts this as process 1, and nobody else; to boot once more run boot")
		os.Exit(1)
	}
	mount()
	environment()
	kernel, err := kmsg.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, "boottorrent init:", err)
	}
	say := func(format string, args ...any) {
		// By the kernel it gets to every console, whatever boot had them do.
		kernel.Print(kmsg.Error, fmt.Sprintf("init: "+format, args...))
	}
	power(supervise(context.Background(), runBoot, func() error { return takeOver(say) }, say), say)
}

// mount makes the file systems. What fails is written to the kernel ring and the rest goes on: boot says later what it
// lacks.
func mount() {
	libinit.Create([]libinit.Creator{
		libinit.Dir{Name: "/dev", Mode: 0o755},
		libinit.Mount{Source: "devtmpfs", Target: "/dev", FSType: "devtmpfs"},
		libinit.Dir{Name: "/proc", Mode: 0o555},
		libinit.Mount{Source: "proc", Target: "/proc", FSType: "proc"},
		libinit.Dir{Name: "/sys", Mode: 0o555},
		libinit.Mount{Source: "sysfs", Target: "/sys", FSType: "sysfs"},
		libinit.Dir{Name: "/dev/pts", Mode: 0o755},
		libinit.Mount{Source: "devpts", Target: "/dev/pts", FSType: "devpts", Opts: "ptmxmode=666,mode=620"},
		libinit.Dir{Name: "/run", Mode: 0o755},
		libinit.Mount{Source: "tmpfs", Target: "/run", FSType: "tmpfs", Opts: "mode=755,size=16m"},
		libinit.Dir{Name: "/tmp", Mode: 0o1777},
		libinit.Mount{Source: "tmpfs", Target: "/tmp", FSType: "tmpfs", Opts: "mode=1777,size=25%"},
		// The systems' own. The node checks before a download that it fits into the machine's memory, so that the file
		// system needs no limit that would be wrong for somebody.
		libinit.Dir{Name: "/systems", Mode: 0o755},
		libinit.Mount{Source: "tmpfs", Target: "/systems", FSType: "tmpfs", Opts: "mode=755,size=100%"},
		libinit.Dir{Name: "/etc", Mode: 0o755},
		libinit.Dir{Name: "/root", Mode: 0o700},
	}, false)
	if err := syscall.Sethostname([]byte("node")); err != nil {
		fmt.Fprintln(os.Stderr, "boottorrent init: sethostname:", err)
	}
	// Otherwise of more than ten messages in five seconds the kernel's log keeps ten.
	if err := os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0); err != nil {
		fmt.Fprintln(os.Stderr, "boottorrent init:", err)
	}
}

func environment() {
	for k, v := range map[string]string{"PATH": "/bbin:/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/root", "TERM": "linux", "GOGC": swarm.NodeGC} {
		if err := os.Setenv(k, v); err != nil {
			fmt.Fprintln(os.Stderr, "boottorrent init: setenv:", err)
		}
	}
}

// runBoot runs boot once, reaping whatever else ends meanwhile, and returns its exit code, or why it has none.
func runBoot() (code int, err error) {
	defer tidy()
	cmd := exec.Command(program)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Process.Release() // of which nobody else will wait
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for %s: %w", program, err)
		case pid != cmd.Process.Pid:
		case status.Signaled():
			return 0, fmt.Errorf("%s was killed: %s%s", program, status.Signal(), hint(status.Signal()))
		case status.Exited():
			return status.ExitStatus(), nil
		}
	}
}

// tidy takes away what a boot that died may have left: a shell that goes on reading a console, and a kernel that is kept
// off all of them.
func tidy() {
	_ = unix.Kill(-1, unix.SIGKILL) // of PID 1: everybody else; the error says that there is nobody
	if err := kmsg.Quiet(false); err != nil {
		fmt.Fprintln(os.Stderr, "boottorrent init:", err)
	}
}

// hint guesses who kills a process out of nowhere.
func hint(s syscall.Signal) string {
	if s == syscall.SIGKILL {
		return " (the kernel does that when memory runs out; see dmesg)"
	}
	return ""
}

// power ends the machine as boot decided.
func power(code int, say func(string, ...any)) {
	unix.Sync()
	how := unix.LINUX_REBOOT_CMD_RESTART
	if code == boot.ExitPowerOff {
		how = unix.LINUX_REBOOT_CMD_POWER_OFF
	}
	for {
		err := unix.Reboot(how)
		say("reboot(%#x): %v; trying again in a minute", how, err)
		time.Sleep(time.Minute)
	}
}

package stay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/order"
)

// patience is how long the system has to end by itself; then the kernel ends it. systemd stops units for up to 90 s each by default
// (DefaultTimeoutStopSec, systemd-system.conf(5)).
const patience = 3 * time.Minute

// Signals that systemd takes from anybody who may send them (systemd(1), "Signals"): SIGRTMIN, as glibc counts, is 34.
const (
	systemdPowerOff = unix.Signal(34 + 4)
	systemdReboot   = unix.Signal(34 + 5)
)

// ending ends the system that runs here, as its own command reboot or poweroff would.
type ending struct {
	log func(format string, args ...any)
	// init returns the name of process 1 (proc_pid_comm(5)); kill signals it, now ends everything at once.
	init func() (string, error)
	kill func(unix.Signal) error
	now  func(order.Action) error
	// after waits, and reports whether the time came.
	after func(context.Context, time.Duration) bool
}

func newEnding(log func(string, ...any)) *ending {
	return &ending{log: log, init: initName, kill: func(s unix.Signal) error { return unix.Kill(1, s) }, now: endNow, after: wait}
}

// decide says how the system is ended, and returns what does it.
func (e *ending) decide(ctx context.Context, o order.Order) (text string, do func(), err error) {
	if o.Action != order.Reboot && o.Action != order.PowerOff {
		return "", nil, errors.New("the system runs, and can't be left for another one but by a restart")
	}
	signal, how := e.signal(o.Action)
	ctx = context.WithoutCancel(ctx) // the reports end with the network, long before the system does
	text = fmt.Sprintf("%s; if it still runs after %s, the kernel ends it", how, patience)
	return text, func() {
		e.log("the seeder orders: %s: %s", o.Action, text)
		if err := e.kill(signal); err != nil {
			e.log("signal process 1: %v", err)
		}
		go func() {
			if !e.after(ctx, patience) {
				return
			}
			if err := e.now(o.Action); err != nil {
				e.log("%s: %v", o.Action, err)
			}
		}()
	}, nil
}

// signal is what process 1 gets, and how to say that.
func (e *ending) signal(action order.Action) (unix.Signal, string) {
	name, err := e.init()
	if err != nil {
		name = "init"
	}
	signal, word := unix.SIGINT, "SIGINT" // as by Ctrl+Alt+Del, by which every init restarts the machine (reboot(2))
	switch {
	case name == "systemd" && action == order.Reboot:
		signal, word = systemdReboot, "SIGRTMIN+5"
	case name == "systemd":
		signal, word = systemdPowerOff, "SIGRTMIN+4"
	case action == order.PowerOff:
		signal, word = unix.SIGUSR2, "SIGUSR2" // busybox's; others that don't know it go on
	}
	verb := "restarts"
	if action == order.PowerOff {
		verb = "switches off"
	}
	return signal, fmt.Sprintf("its %s %s the machine, by %s", name, verb, word)
}

// initName reads the name of process 1.
func initName() (string, error) {
	name, err := readProc("1/comm")
	return strings.TrimSpace(string(name)), err
}

// endNow ends everything at once, with what is in memory written to the disks.
func endNow(action order.Action) error {
	unix.Sync()
	how := unix.LINUX_REBOOT_CMD_RESTART
	if action == order.PowerOff {
		how = unix.LINUX_REBOOT_CMD_POWER_OFF
	}
	return os.NewSyscallError("reboot", unix.Reboot(how))
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

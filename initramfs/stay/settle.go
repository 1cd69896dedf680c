package stay

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the Go runtime is told by its environment. The process needs some MiB; the limit has the garbage collector work harder before
// it needs more (https://pkg.go.dev/runtime, GOMEMLIMIT), and more threads than two would need memory each.
var environment = []string{"GOMEMLIMIT=16MiB", "GOMAXPROCS=2", settled + "=1"}

// settled is in the environment of the process once Settle is done.
const settled = "BOOTTORRENT_STAY"

const (
	// Of ioprio_set(2), which is not in package unix.
	ioprioWhoProcess = 1
	ioprioClassIdle  = 3
	ioprioClassShift = 13
	// oomScore has the kernel end this process first when memory runs out (proc_pid_oom_score_adj(5)). Nothing is lost by that but
	// the giving away: the images are mounted, whoever gives them.
	oomScore = "1000"
)

// Settle makes this process one that is in nobody's way: a session of its own, no console, idle priority for processor and disk, the
// first to go when memory runs out. It then executes the program anew, so that all of its threads are so. Where it is done
// already it returns at once, with what did not succeed the first time.
func Settle(program string) error {
	if failed, done := os.LookupEnv(settled); done {
		if failed != "1" {
			return errors.New(failed)
		}
		return nil
	}
	_, _ = unix.Setsid() // fails where init has done it
	env := environment
	if err := errors.Join(detach(), idle()); err != nil {
		env = append(env, settled+"="+err.Error()) // the last one counts
	}
	if err := syscall.Exec(program, Args(), env); err != nil {
		return &os.PathError{Op: "execute", Path: program, Err: err}
	}
	return nil
}

// detach has standard input read nothing, and output and errors go to the kernel's log.
func detach() error {
	for fd, path := range []string{"/dev/null", "/dev/kmsg", "/dev/kmsg"} {
		flags := os.O_WRONLY
		if fd == 0 {
			flags = os.O_RDONLY
		}
		f, err := os.OpenFile(path, flags|unix.O_NOCTTY, 0)
		if err != nil {
			return err
		}
		err = unix.Dup3(int(f.Fd()), fd, 0)
		f.Close()
		if err != nil {
			return fmt.Errorf("dup3 of %s: %w", path, err)
		}
	}
	return nil
}

// idle gives this thread what its successors inherit.
func idle() error {
	var errs []error
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
		errs = append(errs, fmt.Errorf("sched_setattr to SCHED_IDLE: %w", err))
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, ioprioClassIdle<<ioprioClassShift); errno != 0 {
		errs = append(errs, fmt.Errorf("ioprio_set to idle: %w", errno))
	}
	return errors.Join(append(errs, os.WriteFile("/proc/self/oom_score_adj", []byte(oomScore), 0))...)
}

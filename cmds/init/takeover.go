package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/kmsg"
	"github.com/boottorrent/boottorrent/initramfs/root"
	"github.com/boottorrent/boottorrent/initramfs/stay"
)

// takeOver makes this process the init of the system that boot has prepared. It returns only if that is not begun, with the reason.
func takeOver(say func(string, ...any)) error {
	s, err := root.ReadSwitch(root.Wish)
	if err != nil {
		return fmt.Errorf("become the system's init: %w", err)
	}
	reap()
	started, err := startStay(s)
	if err != nil {
		say("nothing of %s will be given away while it runs: %v", s.System, err)
	}
	restoreConsoles(say)
	err = s.Move()
	if err == nil {
		err = execute(s)
	}
	// Neither is expected: boot has looked at everything. There is no way back to phase 1 but by the firmware.
	if started != nil {
		_, _ = started.Write([]byte{1}) // so that nothing is removed, for whoever looks into this
	}
	say("%s can't be started: %v; the machine restarts in %s", s.System, err, lostTime)
	time.Sleep(lostTime)
	power(boot.ExitReboot, say)
	return err
}

// lostTime is for how long the reason is shown.
const lostTime = 2 * time.Minute

// reap waits for what tidy has killed, so that the system's init finds no zombies.
func reap() {
	deadline := time.Now().Add(2 * time.Second)
	for time.Now().Before(deadline) {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return
		case err == nil && pid == 0:
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// startStay starts the process that stays, and waits until it has opened what it can't name later. It returns the pipe that ends for that
// process when this one becomes the system's init.
func startStay(s root.Switch) (started *os.File, err error) {
	folder, err := s.OpenFolder()
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	if err := movePlan(s.Own()); err != nil {
		return nil, err
	}
	status, err := os.Open(s.Own())
	if err != nil {
		return nil, err
	}
	defer status.Close()
	startedReader, started, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer startedReader.Close()
	ready, readyWriter, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, started.Close())
	}
	defer ready.Close()
	cmd := exec.Command(stay.Program)
	cmd.Args = stay.Args()
	cmd.Dir = fmt.Sprintf("/proc/self/fd/%d", folder.Fd())
	cmd.ExtraFiles = []*os.File{startedReader, status, readyWriter} // stay.StartedFD, StatusFD and ReadyFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if log, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
	}
	err = cmd.Start()
	_ = readyWriter.Close()
	if err != nil {
		return nil, errors.Join(err, started.Close())
	}
	defer cmd.Process.Release() // the system's init will wait for it
	return started, awaitReady(ready)
}

// awaitReady waits until the process that stays closes its end.
func awaitReady(ready *os.File) error {
	if err := ready.SetReadDeadline(time.Now().Add(stay.ReadyTime)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, ready); err != nil {
		return fmt.Errorf("%s is not ready after %s: %w", stay.Name, stay.ReadyTime, err)
	}
	return nil
}

// movePlan gives the process that stays its plan in the folder that goes with it.
func movePlan(to string) error {
	plan, err := os.ReadFile(stay.PlanFile)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, stay.PlanName), plan, 0o600)
}

// restoreConsoles leaves the consoles as a system expects them: in text mode, with lines edited and echoed, and the kernel's messages on
// them.
func restoreConsoles(say func(string, ...any)) {
	if err := console.Restore(); err != nil {
		say("%v", err)
	}
	if err := kmsg.Quiet(false); err != nil {
		say("%v", err)
	}
	// As it was before mount.
	if err := os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("ratelimit\n"), 0); err != nil {
		say("%v", err)
	}
}

// execute becomes the system's init, with what the kernel gives to one: the console as its standard files, its environment and its umask. Go
// puts back the limit of open files and the signals by itself.
func execute(s root.Switch) error {
	if err := standardFiles("/dev/console", os.DevNull); err != nil {
		return err
	}
	unix.Umask(0o022)
	err := syscall.Exec(s.Init, append([]string{s.Init}, s.Args...), root.Environment())
	return fmt.Errorf("execute %s: %w", s.Init, err)
}

// standardFiles opens the first of the files that can be opened as standard input, output and errors. A console is not there where the
// command line names only one that the machine lacks, and the kernel starts its first program all the same (console_on_rootfs in
// init/main.c of Linux).
func standardFiles(names ...string) error {
	var errs []error
	for _, name := range names {
		file, err := unix.Open(name, unix.O_RDWR, 0)
		if err != nil {
			errs = append(errs, &os.PathError{Op: "open", Path: name, Err: err})
			continue
		}
		for fd := range 3 {
			if err := unix.Dup3(file, fd, 0); err != nil && file != fd {
				return fmt.Errorf("make %s descriptor %d: %w", name, fd, err)
			}
		}
		if file > 2 {
			unix.Close(file)
		}
		return nil
	}
	return errors.Join(errs...)
}

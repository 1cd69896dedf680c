package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killTime is how long a shell that was asked to end may take.
const killTime = 2 * time.Second

// Shell runs a command, such as an interactive shell, on one console ("" is the first) and waits until it ends. It
// gets a session of its own with the console as controlling terminal, and TERM added to env (nil: this process's).
// The other consoles go on showing log lines, the first of which says where the shell is.
//
// How the command ends is its own business; an error is only that it could not be started, or that ctx ended, at
// which the session's processes in the foreground are hung up.
func (s *Set) Shell(ctx context.Context, console string, argv, env []string) error {
	if len(argv) == 0 {
		return errors.New("open a shell: no command given")
	}
	if !s.front.TryLock() {
		return errors.New("open a shell: a screen or another shell is open")
	}
	defer s.front.Unlock()
	t, err := s.find(console)
	if err != nil {
		return fmt.Errorf("open a shell: %w", err)
	}
	s.acquireForShell(ctx, t)
	defer s.releaseByShell(t)
	return t.shell(ctx, argv, env)
}

// acquireForShell stops writing to a console. It stays open until releaseByShell: the last close of a serial line would forget its size.
func (s *Set) acquireForShell(ctx context.Context, t *terminal) {
	fmt.Fprintf(s, "A shell is open on %s; it goes on here when that is left (exit).\n", t.Name)
	drain, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = s.Drain(drain) // some other console may be stuck

	s.mu.Lock()
	defer s.mu.Unlock()
	t.taken = true
	if t.out != nil {
		t.out.stop()
	}
}

// releaseByShell opens a console again: when a session's leader exits, the kernel hangs its terminal up for everyone who
// had it open.
func (s *Set) releaseByShell(t *terminal) {
	s.mu.Lock()
	_ = t.close() // hung up
	err := t.open()
	t.release()
	s.mu.Unlock()
	if err != nil {
		fmt.Fprintf(s, "console lost after a shell: %v\n", err)
	}
}

// shell runs the command on the terminal's device.
func (t *terminal) shell(ctx context.Context, argv, env []string) error {
	tty, err := os.OpenFile(t.Path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("open a shell on %s: %w", t.Name, err)
	}
	defer tty.Close()
	if env == nil {
		env = os.Environ()
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(env[:len(env):len(env)], "TERM="+t.Term)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGHUP) }
	cmd.WaitDelay = killTime

	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the shell on %s was ended: %w", t.Name, context.Cause(ctx))
	case err == nil, errors.As(err, &exit):
		return nil
	}
	return fmt.Errorf("run %s on %s: %w", strings.Join(argv, " "), t.Name, err)
}

package remote

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// session is one shell or command (RFC 4254 section 6).
type session struct {
	*Server
	channel ssh.Channel
	// terminal and size are what the client asked for; without a terminal, the command has pipes.
	terminal string
	size     pty.Winsize
	wanted   bool
	tty      *os.File
	process  *os.Process // nil before it was started
	over     atomic.Bool // it has ended
}

// The payloads of a session's requests.
type (
	ptyRequest struct {
		Term                string
		Columns, Rows, W, H uint32
		Modes               string
	}
	windowChange struct{ Columns, Rows, W, H uint32 }
	execRequest  struct{ Command string }
	exitStatus   struct{ Status uint32 }
	signal       struct{ Name string }
)

// session serves a channel to its end.
func (s *Server) session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x := &session{Server: s, channel: channel}
	ended := make(chan struct{})
	for {
		select {
		case r, ok := <-requests:
			if !ok { // the client is gone
				cancel()
				if x.process != nil {
					<-ended
				}
				return
			}
			ok = x.request(ctx, r, ended)
			if r.WantReply {
				_ = r.Reply(ok, nil)
			}
		case <-ended:
			return
		}
	}
}

// request serves one request, and reports whether that was possible.
func (x *session) request(ctx context.Context, r *ssh.Request, ended chan<- struct{}) bool {
	switch r.Type {
	case "pty-req":
		var p ptyRequest
		if ssh.Unmarshal(r.Payload, &p) != nil || x.process != nil {
			return false
		}
		x.terminal, x.size, x.wanted = p.Term, pty.Winsize{Cols: clip(p.Columns), Rows: clip(p.Rows)}, true
		return true
	case "window-change":
		var w windowChange
		if ssh.Unmarshal(r.Payload, &w) != nil || x.tty == nil {
			return false
		}
		size := unix.Winsize{Col: clip(w.Columns), Row: clip(w.Rows)}
		return control(x.tty, func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &size) }) == nil
	case "shell":
		return x.start(ctx, ended)
	case "exec":
		var e execRequest
		if ssh.Unmarshal(r.Payload, &e) != nil {
			return false
		}
		return x.start(ctx, ended, "-c", e.Command)
	case "signal":
		var g signal
		return ssh.Unmarshal(r.Payload, &g) == nil && x.signal(unix.SignalNum("SIG"+g.Name))
	}
	return false
}

// signal sends a signal to the command and its children; 0 is none.
func (x *session) signal(number syscall.Signal) bool {
	return number != 0 && x.process != nil && !x.over.Load() && syscall.Kill(-x.process.Pid, number) == nil
}

func clip(n uint32) uint16 { return uint16(min(n, 0xffff)) }

// control does something to a file's descriptor. File.Fd, which pty uses, would make the file one that blocks, without deadlines.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	err = raw.Control(func(fd uintptr) { done = do(int(fd)) })
	return errors.Join(err, done)
}

// start starts the shell; ended is closed when the client was told how it ended.
func (x *session) start(ctx context.Context, ended chan<- struct{}, args ...string) bool {
	if x.process != nil {
		return false
	}
	cmd := exec.CommandContext(ctx, x.cfg.Shell, args...)
	// What does not end by the hang-up is killed.
	cmd.Env, cmd.WaitDelay = os.Environ(), restTime
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP) }
	begin := x.withPipes
	if x.wanted {
		begin = x.withTerminal
	}
	output, err := begin(cmd)
	if err != nil {
		x.logf("ssh: %s can't be started: %v", x.cfg.Shell, err)
		return false
	}
	x.process = cmd.Process
	go func() {
		defer close(ended)
		err := cmd.Wait()
		x.over.Store(true)
		output.finish()
		_, _ = x.channel.SendRequest("exit-status", false, ssh.Marshal(exitStatus{status(cmd, err)}))
	}()
	return true
}

// withPipes starts a command whose input, output and errors are the client's.
func (x *session) withPipes(cmd *exec.Cmd) (*output, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe() // rather than cmd.Stdin: a command that reads nothing need not wait for the client
	if err != nil {
		return nil, err
	}
	// Pipes of our own: those of exec end when the command does, whether everything was read or not.
	var readers, writers [2]*os.File
	for i := range readers {
		if readers[i], writers[i], err = os.Pipe(); err != nil {
			closeAll(readers[:i], writers[:i])
			return nil, err
		}
	}
	cmd.Stdout, cmd.Stderr = writers[0], writers[1]
	err = cmd.Start()
	closeAll(writers[:])
	if err != nil {
		closeAll(readers[:])
		return nil, err
	}
	go func() {
		_, _ = io.Copy(in, x.channel)
		_ = in.Close()
	}()
	o := &output{}
	o.pass(x.channel, readers[0])
	o.pass(x.channel.Stderr(), readers[1])
	return o, nil
}

// withTerminal starts a command on a terminal of its own.
func (x *session) withTerminal(cmd *exec.Cmd) (*output, error) {
	cmd.Env = append(cmd.Env, "TERM="+x.terminal)
	tty, err := pty.StartWithSize(cmd, &x.size)
	if err != nil {
		return nil, err
	}
	x.tty = tty
	if err := control(tty, func(fd int) error { return unix.SetNonblock(fd, true) }); err != nil {
		x.logf("ssh: %v", err) // then what the command leaves behind keeps the session
	}
	go func() { _, _ = io.Copy(tty, x.channel) }()
	o := &output{}
	o.pass(x.channel, tty) // to the end: when nobody has the terminal open any more
	return o, nil
}

// status is a command's exit status, for one that was killed 128 and the signal's number.
func status(cmd *exec.Cmd, err error) uint32 {
	if cmd.ProcessState == nil {
		return 255
	}
	if w, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + uint32(w.Signal())
	}
	code := cmd.ProcessState.ExitCode()
	if code == 0 && err != nil {
		return 255
	}
	return uint32(code)
}

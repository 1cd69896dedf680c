package remote

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
)

// restTime is how long the output of a command that has ended is waited for, where something it left behind holds on to it.
const restTime = 2 * time.Second

// session is one shell or command (RFC 4254 section 6).
type session struct {
	*Server
	channel ssh.Channel
	// terminal and size are what the client asked for; without a terminal, the command has pipes.
	terminal string
	size     pty.Winsize
	wanted   bool
	tty      *os.File
	started  bool
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
				if x.started {
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
		if ssh.Unmarshal(r.Payload, &p) != nil || x.started {
			return false
		}
		x.terminal, x.size, x.wanted = p.Term, winsize(p.Columns, p.Rows), true
		return true
	case "window-change":
		var w windowChange
		if ssh.Unmarshal(r.Payload, &w) != nil || x.tty == nil {
			return false
		}
		x.size = winsize(w.Columns, w.Rows)
		return pty.Setsize(x.tty, &x.size) == nil
	case "shell":
		return x.start(ctx, ended)
	case "exec":
		var e execRequest
		if ssh.Unmarshal(r.Payload, &e) != nil {
			return false
		}
		return x.start(ctx, ended, "-c", e.Command)
	}
	return false
}

func winsize(columns, rows uint32) pty.Winsize {
	return pty.Winsize{Cols: uint16(min(columns, 0xffff)), Rows: uint16(min(rows, 0xffff))}
}

// start starts the shell; ended is closed when the client was told how it ended.
func (x *session) start(ctx context.Context, ended chan<- struct{}, args ...string) bool {
	if x.started {
		return false
	}
	cmd := exec.CommandContext(ctx, x.cfg.Shell, args...)
	cmd.Env, cmd.WaitDelay = os.Environ(), restTime
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP) }
	begin := x.withPipes
	if x.wanted {
		begin = x.withTerminal
	}
	finish, err := begin(cmd)
	if err != nil {
		x.logf("ssh: %s can't be started: %v", x.cfg.Shell, err)
		return false
	}
	x.started = true
	go func() {
		defer close(ended)
		err := cmd.Wait()
		finish()
		_, _ = x.channel.SendRequest("exit-status", false, ssh.Marshal(exitStatus{status(cmd, err)}))
	}()
	return true
}

// withPipes starts a command whose input, output and errors are the client's.
func (x *session) withPipes(cmd *exec.Cmd) (finish func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = x.channel, x.channel.Stderr()
	in, err := cmd.StdinPipe() // rather than cmd.Stdin: a command that reads nothing need not wait for the client
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_, _ = io.Copy(in, x.channel)
		_ = in.Close()
	}()
	return func() {}, nil
}

// withTerminal starts a command on a terminal of its own.
func (x *session) withTerminal(cmd *exec.Cmd) (finish func(), err error) {
	cmd.Env = append(cmd.Env, "TERM="+x.terminal)
	x.tty, err = pty.StartWithSize(cmd, &x.size)
	if err != nil {
		return nil, err
	}
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(x.channel, x.tty) // to the end: when nobody has the terminal open any more
		close(copied)
	}()
	go func() { _, _ = io.Copy(x.tty, x.channel) }()
	return func() {
		select {
		case <-copied:
		case <-time.After(restTime):
		}
		_ = x.tty.Close()
	}, nil
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
	if code == 0 && err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return 255
	}
	return uint32(code)
}

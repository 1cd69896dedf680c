package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/integration/bench/peer"
	"github.com/boottorrent/boottorrent/integration/lab"
)

// process is a program at work on a host of the room.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	stop  context.CancelFunc

	ready, done, ended chan struct{}
	// doneAt is when DONE was read; valid once done is closed.
	doneAt time.Time
	// err is how the program ended; valid once ended is closed.
	err error

	mu sync.Mutex
	// said is the end of what it printed.
	said []string
}

// saidLines is how much of a program's output is kept for an error message.
const saidLines = 12

// start runs a program on a host until ctx ends or it is stopped. env is added to its environment.
func start(ctx context.Context, host *lab.Host, env, args []string) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &process{
		name: host.Name, stop: cancel, cmd: host.Command(ctx, args[0], args[1:]...),
		ready: make(chan struct{}), done: make(chan struct{}), ended: make(chan struct{}),
	}
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.cmd.Env = append(os.Environ(), env...)
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start %s on host %s: %w", args[0], host.Name, err)
	}
	go p.read(r)
	go func() {
		p.err = p.cmd.Wait()
		cancel()
		w.Close()
		close(p.ended)
	}()
	return p, nil
}

// read follows the program's output.
func (p *process) read(r io.Reader) {
	ready, done := p.ready, p.done
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch line := strings.TrimSpace(lines.Text()); {
		case line == peer.LineReady && ready != nil:
			close(ready)
			ready = nil
		case line == peer.LineDone && done != nil:
			p.doneAt = time.Now()
			close(done)
			done = nil
		case line != "":
			p.mu.Lock()
			p.said = append(p.said, line)
			p.said = p.said[max(0, len(p.said)-saidLines):]
			p.mu.Unlock()
		}
	}
	_, _ = io.Copy(io.Discard, r) // after a line too long to be one, the program must not block
}

// begin gives the start signal.
func (p *process) begin() error {
	_, err := io.WriteString(p.stdin, "go\n")
	return err
}

// await waits for one of the process's events.
func (p *process) await(ctx context.Context, event <-chan struct{}, what string) error {
	select {
	case <-event:
		return nil
	default:
	}
	select {
	case <-event:
		return nil
	case <-p.ended:
		return p.failure(fmt.Sprintf("ended before it was %s (%v)", what, p.err))
	case <-ctx.Done():
		return p.failure(fmt.Sprintf("is not %s: %v", what, context.Cause(ctx)))
	}
}

func (p *process) failure(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.said) == 0 {
		return fmt.Errorf("%s %s; it printed nothing", p.name, what)
	}
	return fmt.Errorf("%s %s; it printed:\n\t%s", p.name, what, strings.Join(p.said, "\n\t"))
}

// used is processor time in seconds: user is the program's own, kernel is what Linux did on its account. What a process sends is carried
// to the other's socket within its system call, so the work at both ends of a cable is in it.
type used struct{ user, kernel float64 }

func (u used) all() float64     { return u.user + u.kernel }
func (u used) plus(o used) used { return used{u.user + o.user, u.kernel + o.kernel} }

// finish ends the process and returns what it and its children took.
func (p *process) finish() (used, error) {
	p.stop()
	<-p.ended
	s := p.cmd.ProcessState
	if s == nil {
		return used{}, errors.New(p.name + " left no account of its CPU time")
	}
	return used{s.UserTime().Seconds(), s.SystemTime().Seconds()}, nil
}

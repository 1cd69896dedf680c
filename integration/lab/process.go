package lab

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// stopTime is how long a process has to end after a SIGTERM.
const stopTime = 5 * time.Second

// Process is a program that runs in the room. Its standard output and error are its transcript.
type Process struct {
	*Transcript
	// Name is HOST/PROGRAM.
	Name string

	cmd    *exec.Cmd
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// start runs a command whose context ends with ctx, with the room or with stop.
func (r *Room) start(ctx context.Context, name string, command func(context.Context) *exec.Cmd) (*Process, error) {
	log, err := r.logFile(name)
	if err != nil {
		return nil, fmt.Errorf("lab %s: %s: %w", r.name, name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(r.ctx, cancel)
	p := &Process{Name: name, Transcript: newTranscript(name, log), cancel: cancel, done: make(chan struct{})}
	p.cmd = command(ctx)
	if p.cmd.Stdout == nil {
		p.cmd.Stdout = p.Transcript
	}
	p.cmd.Stderr = p.Transcript
	if err := p.cmd.Start(); err != nil {
		cancel()
		p.end(err)
		return nil, fmt.Errorf("lab %s: start %s: %w", r.name, name, err)
	}
	r.mu.Lock()
	r.procs = append(r.procs, p)
	r.mu.Unlock()
	go func() {
		p.err = p.cmd.Wait()
		cancel()
		p.end(p.err)
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the process to end by itself and returns how it did: nil for exit status 0.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("%s: %w; its output ends with:\n%s", p.Name, p.err, p.Tail(tailLines))
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s still runs: %w; its output ends with:\n%s", p.Name, ctx.Err(), p.Tail(tailLines))
	}
}

// Stop sends a SIGTERM, five seconds later a SIGKILL, and returns when the process has ended.
func (p *Process) Stop() {
	p.cancel()
	<-p.done
}

// Pid is the process's number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

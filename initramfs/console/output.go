package console

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	// maxQueue is how many bytes a console may be behind: 20 s of a serial line at 115200 baud.
	maxQueue = 256 << 10
	// maxWrite is how many bytes are written at once, so that queued tells the truth about a slow line.
	maxWrite = 1 << 10
)

// output is a console's queue and the goroutine that writes it. Writing to it never blocks and never fails.
type output struct {
	tty  *os.File
	wake chan struct{} // holds one token when there is something to do
	done chan struct{}

	mu      sync.Mutex
	pending []byte
	writing int  // bytes taken from pending that are not written yet
	lost    int  // lines that found no room
	dead    bool // the device refuses to be written to
	stopped bool
}

func newOutput(tty *os.File) *output {
	o := &output{tty: tty, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go o.run()
	return o
}

// Write queues what a screen draws, or drops it where there is no room; a screen never gets that far behind (see
// replica.View). Its line ends are CR LF, as for a terminal that translates nothing; ours adds the CR to every LF.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.dead && !o.stopped && len(o.pending)+len(p) <= maxQueue {
		o.pending = append(o.pending, bytes.ReplaceAll(p, []byte("\r\n"), []byte("\n"))...)
		o.notify()
	}
	return len(p), nil
}

// writeLine queues a line, or counts it as lost.
func (o *output) writeLine(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.dead || o.stopped:
	case len(o.pending)+len(line)+1 > maxQueue:
		o.lost++
	default:
		o.pending = append(append(o.pending, line...), '\n')
		o.notify()
	}
}

func (o *output) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// queued is the number of bytes that are not written yet.
func (o *output) queued() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pending) + o.writing
}

func (o *output) isDead() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dead
}

// run writes what is queued until stop.
func (o *output) run() {
	defer close(o.done)
	for range o.wake {
		for {
			chunk := o.take()
			if len(chunk) == 0 {
				break
			}
			if _, err := o.tty.Write(chunk); err != nil {
				o.die()
				break
			}
		}
		if o.isStopped() {
			return
		}
	}
}

// take returns the next bytes to write.
func (o *output) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = 0
	if o.stopped {
		return nil
	}
	if len(o.pending) == 0 && o.lost > 0 {
		o.pending = fmt.Appendf(nil, "[%d lines are missing here: this console was too slow]\n", o.lost)
		o.lost = 0
	}
	n := min(len(o.pending), maxWrite)
	chunk := o.pending[:n]
	if o.pending = o.pending[n:]; len(o.pending) == 0 {
		o.pending = nil
	}
	o.writing = n
	return chunk
}

func (o *output) die() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dead, o.pending, o.writing = true, nil, 0
}

func (o *output) isStopped() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stopped
}

// stop ends the writer, even in the middle of a write, and waits until it has ended. What is queued is dropped.
func (o *output) stop() {
	o.mu.Lock()
	o.stopped, o.pending = true, nil
	o.mu.Unlock()
	_ = o.tty.SetWriteDeadline(time.Unix(1, 0))
	o.notify()
	<-o.done
	_ = o.tty.SetWriteDeadline(time.Time{})
}

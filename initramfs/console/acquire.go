package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// ErrKey says that somebody pressed Enter on a console that was not acquired, and so wants to be asked something.
var ErrKey = errors.New("the key Enter was pressed on another console")

// Acquire acquires one console ("" is the first), in raw mode, for use, and releases it when that returns. The other consoles go on
// showing log lines; when somebody presses Enter on one of them, use's context ends with ErrKey as its cause, and Acquire returns
// an error that wraps it. Otherwise it returns what use does.
//
// What was typed before is discarded; from ready on, which may write a last log line to all consoles, it counts. Reading and
// writing the TTY fail once Acquire releases it.
func (s *Set) Acquire(ctx context.Context, console string, ready func(), use func(ctx context.Context, tty *TTY) error) error {
	if !s.front.TryLock() {
		return errors.New("acquire a console: a screen or a shell is open")
	}
	defer s.front.Unlock()
	t, err := s.find(console)
	if err != nil {
		return fmt.Errorf("acquire a console: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := s.awaitEnter(t, func() { cancel(ErrKey) })
	defer stop()
	ready()
	tty, err := s.acquire(ctx, t)
	if err != nil {
		return fmt.Errorf("acquire console %s: %w", t.Name, err)
	}
	defer s.release(t)
	ended := context.AfterFunc(ctx, tty.end)
	defer ended()
	err = use(ctx, tty)
	tty.finish()
	if errors.Is(context.Cause(ctx), ErrKey) {
		return fmt.Errorf("console %s was released: %w", t.Name, ErrKey)
	}
	return err
}

// acquire lets the console show what is queued for it, and stops writing to it.
func (s *Set) acquire(ctx context.Context, t *terminal) (*TTY, error) {
	drain, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = s.Drain(drain) // some console may be stuck
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := t.prepare(); err != nil {
		return nil, err
	}
	t.taken = true
	t.out.stop()
	if t.Look.Graphics {
		_, _ = t.tty.WriteString("\x1b[m\x1b[H\x1b[J")
	}
	return &TTY{terminal: t, file: t.tty}, nil
}

// release makes the console what it was before.
func (s *Set) release(t *terminal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = t.discardInput()
	if t.setModes(sane) != nil { // it was hung up
		_ = t.close()
		_ = t.open()
	} else {
		t.out = newOutput(t.tty)
	}
	if t.out != nil {
		// Off with colours, bracketed paste, mouse reports and a hidden cursor, whatever of them was left on; on a screen that
		// can, begin on a clean one. (The next screen of ours leaves an alternate screen.)
		reset := "\x1b[m\x1b[?2004l\x1b[?1000l\x1b[?25h"
		if t.Look.Graphics {
			reset += "\x1b%G\x1b[H\x1b[J"
		}
		_, _ = t.out.Write([]byte(reset + "\n"))
	}
	t.release()
}

// awaitEnter calls found when a line is typed on any console but one. stop ends that and returns when nobody reads any more.
func (s *Set) awaitEnter(except *terminal, found func()) (stop func()) {
	var readers sync.WaitGroup
	var files []*os.File
	s.mu.Lock()
	for _, t := range s.terminals {
		if t != except && t.tty != nil {
			_ = t.discardInput()
			files = append(files, t.tty)
		}
	}
	s.mu.Unlock()
	for _, f := range files {
		readers.Go(func() {
			line := make([]byte, 256)
			// In the modes of log lines a read returns when a line is complete.
			if n, err := f.Read(line); err == nil && n > 0 {
				found()
			}
		})
	}
	return func() {
		for _, f := range files {
			_ = f.SetReadDeadline(time.Unix(1, 0))
		}
		readers.Wait()
		for _, f := range files {
			_ = f.SetReadDeadline(time.Time{})
		}
	}
}

// TTY is an acquired console.
type TTY struct {
	terminal *terminal
	file     *os.File

	reading  sync.Mutex // held while reading
	writing  sync.Mutex // held while writing
	mu       sync.Mutex
	over     bool // reads and writes fail
	released bool // the console is the set's again
}

// Name is the kernel's name of the console, such as ttyS0.
func (t *TTY) Name() string { return t.terminal.Name }

// Device is its device; for tty0 that of the virtual terminal that it is.
func (t *TTY) Device() string { return t.terminal.Path }

// Term is the value of TERM that fits.
func (t *TTY) Term() string { return t.terminal.Term }

// Size is in character cells.
func (t *TTY) Size() (width, height int) {
	width, height, err := t.terminal.size()
	if err != nil {
		return defaultWidth, defaultHeight
	}
	return width, height
}

// Read returns what was typed.
func (t *TTY) Read(p []byte) (int, error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.isOver() {
		return 0, io.EOF
	}
	return t.file.Read(p)
}

// Write writes to the console, waiting for it.
func (t *TTY) Write(p []byte) (int, error) {
	t.writing.Lock()
	defer t.writing.Unlock()
	if t.isOver() {
		return 0, os.ErrClosed
	}
	return t.file.Write(p)
}

func (t *TTY) isOver() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

// end makes reads and writes fail.
func (t *TTY) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if !t.released {
		_ = t.file.SetDeadline(time.Unix(1, 0))
	}
}

// finish ends reads and writes and waits until nobody is in one any more.
func (t *TTY) finish() {
	t.end()
	t.reading.Lock()
	defer t.reading.Unlock()
	t.writing.Lock()
	defer t.writing.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.released = true
	_ = t.file.SetDeadline(time.Time{})
}

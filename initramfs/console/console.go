// Package console shows log lines, screens and shells on every active console of a machine at once: the screen and
// the serial line.
//
// In go the consoles' names ([Active], from the kernel) and, while a screen runs, a Bubble Tea model and its events;
// out come the final model and the name of the console whose key ended it. Whoever types first, on whichever
// console, is heard; the others show the same. A console that is slow or that nobody reads delays none of the others.
//
// Log lines go to all consoles ([Set.Write]); a [Set.Run] takes all of them for a screen, a [Set.Shell] one of them.
// Meanwhile lines for them are held back, and shown afterwards.
package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	_ "github.com/boottorrent/boottorrent/initramfs/console/background" // keeps Bubble Tea from querying the terminal
	"github.com/boottorrent/boottorrent/initramfs/menu"
)

// activePath lists the consoles the kernel writes to, see Documentation/ABI/testing/sysfs-tty.
const activePath = "/sys/class/tty/console/active"

// Active returns the names of the consoles the kernel writes to, such as "tty0" and "ttyS0", in the kernel's order:
// the last one is /dev/console.
func Active() ([]string, error) {
	data, err := os.ReadFile(activePath)
	if err != nil {
		return nil, fmt.Errorf("list the active consoles (is /sys mounted?): %w", err)
	}
	return strings.Fields(string(data)), nil
}

// Console says what a terminal is.
type Console struct {
	// Name is the kernel's name, such as "ttyS0".
	Name string
	// Path is its device.
	Path string
	// Look is what it can show.
	Look menu.Look
	// Term is the TERM of a shell on it.
	Term string
}

// Named returns the console of the kernel's name: tty0 and other virtual terminals have the look of the Linux
// console, everything else (ttyS0, hvc0, …) that of a plain serial line.
func Named(name string) Console {
	c := Console{Name: name, Path: filepath.Join("/dev", name), Term: "vt220"}
	if number, ok := strings.CutPrefix(name, "tty"); ok && number != "" && strings.Trim(number, "0123456789") == "" {
		c.Term = "linux"
		c.Look = menu.Look{Color: true, Graphics: true}
	}
	return c
}

// Set is a number of consoles that show the same. Its methods may be called from any goroutine.
type Set struct {
	// Note is what screens show besides (menu.Tick); nil: nothing. It is set before the first screen.
	Note func() string

	// front is held by the one Run or Shell at a time.
	front     sync.Mutex
	terminals []*terminal

	mu      sync.Mutex        // guards what follows, and the terminals' line state
	partial []byte            // a line that has no end yet
	last    []string          // the last lines, for the next screen
	listen  func(line string) // gets the lines while a screen runs
}

const (
	// keptLines is how many lines are remembered for the next screen, and how many a console holds back at most.
	keptLines = 200
	// maxLine is where a line that doesn't end is broken, in bytes.
	maxLine = 4096
)

// Open opens the consoles of these names. One that can't be opened is left out, with a line on the others that says
// why; only when none is left that is an error.
func Open(names []string) (*Set, error) {
	consoles := make([]Console, len(names))
	for i, name := range names {
		consoles[i] = Named(name)
	}
	return NewSet(consoles...)
}

// NewSet opens the given consoles; see Open.
func NewSet(consoles ...Console) (*Set, error) {
	if len(consoles) == 0 {
		return nil, errors.New("open consoles: the kernel has none; name one on its command line, such as console=tty0")
	}
	set := &Set{}
	var errs []error
	for _, c := range consoles {
		t := &terminal{Console: c}
		if err := t.open(); err != nil {
			errs = append(errs, err)
			continue
		}
		set.terminals = append(set.terminals, t)
	}
	if len(set.terminals) == 0 {
		return nil, fmt.Errorf("open consoles: none can be used: %w", errors.Join(errs...))
	}
	for _, err := range errs {
		fmt.Fprintf(set, "console left out: %v\n", err)
	}
	return set, nil
}

// Names are the consoles in use.
func (s *Set) Names() []string {
	var names []string
	for _, t := range s.terminals {
		names = append(names, t.Name)
	}
	return names
}

// find returns the terminal of that name, the first one for "".
func (s *Set) find(name string) (*terminal, error) {
	if name == "" {
		return s.terminals[0], nil
	}
	for _, t := range s.terminals {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("no console %q; there are %s", name, strings.Join(s.Names(), ", "))
}

// Write sends log lines to all consoles; it never waits for one. What has no line end yet is kept until it has. A
// console that can't keep up loses lines, and says how many. It never fails: it is meant for a slog handler.
func (s *Set) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = append(s.partial, p...)
	for {
		line, rest, found := cutLine(s.partial)
		if !found {
			return len(p), nil
		}
		s.partial = slices.Clone(rest)
		s.line(string(line))
	}
}

// cutLine takes the first line, without its end, off data.
func cutLine(data []byte) (line, rest []byte, found bool) {
	for i, b := range data {
		if b == '\n' {
			return []byte(strings.TrimRight(string(data[:i]), "\r")), data[i+1:], true
		}
		if i == maxLine {
			return data[:i], data[i:], true
		}
	}
	return nil, nil, false
}

// line delivers one line; s.mu is held.
func (s *Set) line(line string) {
	s.last = keep(s.last, line)
	for _, t := range s.terminals {
		t.line(line)
	}
	if s.listen != nil {
		s.listen(line)
	}
}

// keep appends a line and drops the oldest ones.
func keep(lines []string, line string) []string {
	lines = append(lines, line)
	return lines[max(0, len(lines)-keptLines):]
}

// Drain waits until all consoles have sent what was written so far, or ctx ends: for the last line before a jump into
// another kernel. A console that nobody reads never gets there, so ctx should have a deadline.
func (s *Set) Drain(ctx context.Context) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !s.drained() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the consoles to print: %w", ctx.Err())
		case <-ticker.C:
		}
	}
	return nil
}

func (s *Set) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.terminals {
		if !t.drained() {
			return false
		}
	}
	return true
}

// Close gives the consoles back. It must not be called while a Run or Shell is under way.
func (s *Set) Close() error {
	s.front.Lock()
	defer s.front.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, t := range s.terminals {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}

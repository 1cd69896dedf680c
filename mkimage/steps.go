package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// How often a person is told that something is still being done: on a terminal by a line that changes, elsewhere by a new line.
const (
	movingLine = 200 * time.Millisecond
	newLine    = 15 * time.Second
)

// steps are what is being done and what took how long. As an io.Writer it is the log, whose lines go above the moving line.
type steps struct {
	out      io.Writer
	terminal bool
	ticker   *time.Ticker
	ended    chan struct{}

	mu      sync.Mutex
	start   time.Time
	list    []step
	running []running
	shown   bool // the moving line is on the screen
}

type step struct {
	name string
	// from and took are counted from the first step's beginning.
	from, took time.Duration
}

// running is a step that has not ended; done of total things of it are done, if it has such.
type running struct {
	name        string
	since       time.Time
	done, total int
}

// newSteps watches until it is closed.
func newSteps(out io.Writer) *steps {
	f, isFile := out.(*os.File)
	s := &steps{out: out, terminal: isFile && term.IsTerminal(int(f.Fd())), ended: make(chan struct{})}
	every := newLine
	if s.terminal {
		every = movingLine
	}
	s.ticker = time.NewTicker(every)
	go func() {
		for {
			select {
			case <-s.ticker.C:
				s.show(time.Now())
			case <-s.ended:
				return
			}
		}
	}()
	return s
}

// close takes the moving line away.
func (s *steps) close() {
	s.ticker.Stop()
	close(s.ended)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
	s.clear()
}

// began, took and counted are a commands.Watch.
func (s *steps) began(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = append(s.running, running{name: name, since: time.Now()})
	if s.start.IsZero() {
		s.start = time.Now()
	}
}

func (s *steps) took(name string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.IndexFunc(s.running, func(r running) bool { return r.name == name }); at >= 0 {
		s.running = slices.Delete(s.running, at, at+1)
	}
	s.list = append(s.list, step{name, time.Since(s.start) - took, took})
}

func (s *steps) counted(name string, done, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.running {
		if s.running[i].name == name {
			s.running[i].done, s.running[i].total = done, total
		}
	}
}

// show tells what is being done.
func (s *steps) show(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.running {
		text := r.name
		if r.total > 0 {
			text += fmt.Sprintf(": %d of %d packages", r.done, r.total)
		}
		all = append(all, fmt.Sprintf("%s, %.0f s", text, now.Sub(r.since).Seconds()))
	}
	if len(all) == 0 {
		return
	}
	text := strings.Join(all, "; ")
	if !s.terminal {
		fmt.Fprintln(s.out, "still busy:", text)
		return
	}
	if f, ok := s.out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && len(text) >= width {
			text = text[:max(0, width-1)] // one that is wrapped would not go away
		}
	}
	fmt.Fprint(s.out, "\r\x1b[K", text)
	s.shown = true
}

// clear removes the moving line. The caller holds s.mu.
func (s *steps) clear() {
	if s.shown {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.shown = false
	}
}

// Write implements io.Writer for the log.
func (s *steps) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	return s.out.Write(line)
}

// print writes a line a step, in the order in which they ended.
func (s *steps) print(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(w, "seconds  from")
	for _, st := range s.list {
		fmt.Fprintf(w, "%7.2f %5.1f  %s\n", st.took.Seconds(), st.from.Seconds(), st.name)
	}
	if len(s.list) > 0 {
		fmt.Fprintf(w, "%7.2f        in all; what was in the cache is not there\n\n", time.Since(s.start).Seconds())
	}
}

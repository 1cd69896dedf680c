package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/boottorrent/boottorrent/internal/text"
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
	done, total int64
	unit        unit
}

// unit is what is counted of a step.
type unit int

const (
	inPackages unit = iota
	inBytes
)

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
	s.count(name, int64(done), int64(total), inPackages)
}

// countedBytes is counted of a source.Watch.
func (s *steps) countedBytes(name string, done, total int64) { s.count(name, done, total, inBytes) }

func (s *steps) count(name string, done, total int64, unit unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.running {
		if s.running[i].name == name {
			s.running[i].done, s.running[i].total, s.running[i].unit = done, total, unit
		}
	}
}

// barWidth is how many characters a progress bar has.
const barWidth = 20

// text says how far a step is: packages as a number, bytes as a bar.
func (r running) text() string {
	switch {
	case r.total <= 0:
		return r.name
	case r.unit == inPackages:
		return fmt.Sprintf("%s: %d of %d packages", r.name, r.done, r.total)
	}
	part := float64(r.done) / float64(r.total)
	full := int(part * barWidth)
	return fmt.Sprintf("%s [%s%s] %.0f %% of %s", r.name, strings.Repeat("#", full), strings.Repeat("-", barWidth-full), part*100, text.Size(r.total))
}

// show tells what is being done.
func (s *steps) show(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.running {
		all = append(all, fmt.Sprintf("%s, %.0f s", r.text(), now.Sub(r.since).Seconds()))
	}
	if len(all) == 0 {
		return
	}
	line := strings.Join(all, "; ")
	if !s.terminal {
		fmt.Fprintln(s.out, "still busy:", line)
		return
	}
	if f, ok := s.out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && len(line) >= width {
			line = line[:max(0, width-1)] // one that is wrapped would not go away
		}
	}
	fmt.Fprint(s.out, "\r\x1b[K", line)
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

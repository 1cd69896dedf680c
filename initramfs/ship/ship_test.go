package ship

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// log is a Source that lines are put into.
type log struct {
	mu       sync.Mutex
	lines    []string
	deadline time.Time
	changed  chan struct{}
}

func newLog() *log { return &log{changed: make(chan struct{}, 1)} }

func (l *log) put(lines ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, lines...)
	l.wake()
}

func (l *log) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *log) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = t
	l.wake()
	return nil
}

func (l *log) Lines() ([]string, error) {
	for {
		l.mu.Lock()
		deadline := l.deadline
		if len(l.lines) > 0 && (deadline.IsZero() || time.Now().Before(deadline) || deadline.Unix() == 1) {
			line := l.lines[0]
			l.lines = l.lines[1:]
			l.mu.Unlock()
			return []string{line}, nil
		}
		l.mu.Unlock()
		if deadline.IsZero() {
			<-l.changed
			continue
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil, os.ErrDeadlineExceeded
		}
		select {
		case <-l.changed:
		case <-time.After(left):
		}
	}
}

// seeder is a Poster that keeps what it gets, and fails as often as it should.
type seeder struct {
	mu    sync.Mutex
	lines []string
	fails int
	got   chan struct{}
}

func (s *seeder) Log(_ context.Context, l report.Log) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		return errors.New("no answer")
	}
	if l.Boot != "b00t" || l.MAC != "52:54:00:00:00:01" || l.First != int64(len(s.lines)) || len(l.Lines) > maxLines {
		return fmt.Errorf("unexpected %+v", l)
	}
	s.lines = append(s.lines, l.Lines...)
	s.got <- struct{}{}
	return nil
}

func (s *seeder) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

func identity() (string, string) { return "b00t", "52:54:00:00:00:01" }

func TestShip(t *testing.T) {
	source, to := newLog(), &seeder{fails: 1, got: make(chan struct{}, 100)}
	var want []string
	for i := range 450 { // from before there was a network
		want = append(want, fmt.Sprint("line ", i))
	}
	source.put(want...)
	s := New(source, identity)
	s.Flush(t.Context()) // to nobody
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Run(ctx, to); close(ended) }()
	for to.count() < 450 {
		<-to.got
	}
	// A hand-over: what was said last goes out before Flush returns.
	source.put("last words")
	s.Flush(t.Context())
	if want = append(want, "last words"); !slices.Equal(to.lines, want) {
		t.Errorf("the seeder has %d lines, the last is %q", len(to.lines), to.lines[len(to.lines)-1])
	}
	// And it goes on, as after a hand-over that failed.
	source.put("still here")
	for to.count() < len(want)+1 {
		<-to.got
	}
	cancel()
	<-ended
}

// A seeder that does not answer holds nothing up for long.
func TestFlushGivesUp(t *testing.T) {
	source, to := newLog(), &seeder{fails: 1 << 30}
	source.put("a")
	s := New(source, identity)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.Run(ctx, to)
	for {
		s.mu.Lock()
		running := s.poster != nil
		s.mu.Unlock()
		if running {
			break
		}
	}
	limited, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	s.Flush(limited)
}

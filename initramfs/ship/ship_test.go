package ship

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/kmsg"
	"github.com/boottorrent/boottorrent/internal/report"
)

// log is a Source that lines are put into.
type log struct {
	mu       sync.Mutex
	lines    [][]string
	deadline time.Time
	changed  chan struct{}
}

func newLog() *log { return &log{changed: make(chan struct{}, 1)} }

// put adds records of one line, record one of several.
func (l *log) put(lines ...string) {
	for _, line := range lines {
		l.record(line)
	}
}

func (l *log) record(lines ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, lines)
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
		if len(l.lines) > 0 {
			line := l.lines[0]
			l.lines = l.lines[1:]
			l.mu.Unlock()
			return line, nil
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

// Under another kernel the lines follow those that the seeder has.
func TestContinue(t *testing.T) {
	t.Parallel()
	l, s := newLog(), &seeder{lines: make([]string, 5), got: make(chan struct{}, 1)}
	shipper := New(l, identity)
	shipper.Continue(5)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { shipper.Run(ctx, s); close(ended) }()
	l.put("one")
	<-s.got
	cancel()
	<-ended
	if sent := shipper.Sent(t.Context()); sent != 6 || s.count() != 6 {
		t.Errorf("%d lines were sent, the seeder has %d; want 6", sent, s.count())
	}
}

func TestShip(t *testing.T) {
	t.Parallel()
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

// silence is a seeder that never answers.
type silence struct{ asked chan struct{} }

func (s silence) Log(ctx context.Context, _ report.Log) error {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

// A seeder that does not answer holds nothing up for longer than the hand-over allows.
func TestFlushGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, to := newLog(), silence{make(chan struct{}, 1)}
		source.put("a")
		s := New(source, identity)
		go s.Run(t.Context(), to)
		<-to.asked
		const limit = 20 * time.Millisecond
		limited, stop := context.WithTimeout(t.Context(), limit)
		defer stop()
		began := time.Now()
		s.Flush(limited)
		if took := time.Since(began); took != limit {
			t.Errorf("it took %s, want %s", took, limit)
		}
	})
}

// What the kernel's log has when a hand-over begins is at the seeder when Flush returns, also what nobody had read by then.
func TestFlushOfAKernelsLog(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	kernel, file := os.NewFile(uintptr(fds[0]), "kernel"), os.NewFile(uintptr(fds[1]), "kmsg")
	defer kernel.Close()
	defer file.Close()
	to := &seeder{got: make(chan struct{}, 2000)}
	s := New(kmsg.NewReader(file), identity)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Run(ctx, to); close(ended) }()
	defer func() { cancel(); <-ended }()
	number := 0
	say := func() {
		fmt.Fprintf(kernel, "6,%d,0,-;line\n", number)
		number++
	}
	say()
	<-to.got // it runs
	for round := range 10 {
		for range 3 {
			say()
		}
		s.Flush(t.Context())
		if got := to.count(); got != number {
			t.Fatalf("hand-over %d: the seeder has %d lines of %d", round, got, number)
		}
	}
}

// picky is a seeder that refuses some lines for ever.
type picky struct {
	taken chan report.Log
	code  int
}

func (p picky) Log(_ context.Context, l report.Log) error {
	if slices.Contains(l.Lines, "poison") {
		return fmt.Errorf("post: %w", &client.StatusError{Code: p.code})
	}
	p.taken <- l
	return nil
}

// Lines that the seeder never takes don't keep back what comes after them.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 413} {
		source, to := newLog(), picky{make(chan report.Log, 1), code}
		s := New(source, identity)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		source.put("poison")
		go func() { s.Run(ctx, to); close(ended) }()
		s.awaitRun()
		s.Flush(ctx)
		source.put("good")
		if l := <-to.taken; l.First != 1 || !slices.Equal(l.Lines, []string{"good"}) {
			t.Errorf("%d: then came %+v", code, l)
		}
		cancel()
		<-ended
	}
}

// awaitRun waits until Run has begun.
func (s *Shipper) awaitRun() {
	for s.hasten(0) == nil {
		time.Sleep(time.Millisecond)
	}
}

// A batch stays below what the seeder takes, however long its lines are and however many a record has.
func TestBatches(t *testing.T) {
	t.Parallel()
	source, to := newLog(), &sizes{}
	for range 300 {
		source.put(strings.Repeat("\x01", 1000))
	}
	source.record(slices.Repeat([]string{"short"}, 900)...)
	s := New(source, identity)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Run(ctx, to); close(ended) }()
	s.awaitRun()
	s.Flush(t.Context())
	cancel()
	<-ended
	if to.lines != 1200 || to.most > maxLines || to.bytes > report.MaxLogBody || to.bytes < report.MaxLogBody/2 {
		t.Errorf("%d lines came, at most %d and %d bytes at a time", to.lines, to.most, to.bytes)
	}
}

// sizes is a Poster that measures.
type sizes struct{ lines, most, bytes int }

func (s *sizes) Log(_ context.Context, l report.Log) error {
	s.lines += len(l.Lines)
	s.most = max(s.most, len(l.Lines))
	body, err := json.Marshal(l)
	s.bytes = max(s.bytes, len(body))
	return err
}

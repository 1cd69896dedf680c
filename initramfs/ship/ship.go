// Package ship sends a node's log to the seeder.
//
// In go the kernel's log, which has everything in it, the node's own messages included, from before there was a network on;
// out come batches of lines, each sent until the seeder has it. Nothing is kept here but the batch on its way: what waits
// is in the kernel's ring.
package ship

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// A batch has so many lines at most, or those of gather.
	maxLines = 200
	gather   = 500 * time.Millisecond
	// retryFirst and retryMost bound the pause after a batch that could not be sent.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
	postTime   = 5 * time.Second
)

// Source is a log; kmsg.Reader is one. Lines fails with os.ErrDeadlineExceeded when there is nothing more.
type Source interface {
	Lines() ([]string, error)
	SetDeadline(time.Time) error
}

// Poster sends one batch; client.Client is one.
type Poster interface {
	Log(ctx context.Context, l report.Log) error
}

// Shipper sends one log. Its methods may be called from any goroutine.
type Shipper struct {
	source   Source
	identity func() (boot, mac string)

	working sync.Mutex // held while reading and sending
	batch   []string   // read, and not sent yet
	sent    int64

	mu     sync.Mutex
	hurry  bool // nobody waits for more lines
	poster Poster
}

// New returns a shipper of a log. identity returns what a node's reports have in Boot and MAC.
func New(source Source, identity func() (boot, mac string)) *Shipper {
	return &Shipper{source: source, identity: identity}
}

// Run sends what there is and what comes, until ctx ends or the log can't be read.
func (s *Shipper) Run(ctx context.Context, to Poster) {
	s.mu.Lock()
	s.poster = to
	s.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _ = s.source.SetDeadline(time.Unix(1, 0)) })()
	pause := retryFirst
	for ctx.Err() == nil {
		err := s.step(ctx, to)
		switch {
		case err == nil:
			pause = retryFirst
		case errors.Is(err, errLog):
			return
		default:
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, retryMost)
		}
	}
}

// errLog says that the log can't be read any more.
var errLog = errors.New("the log can't be read")

// step reads a batch, unless there is one, and sends it.
func (s *Shipper) step(ctx context.Context, to Poster) error {
	s.working.Lock()
	defer s.working.Unlock()
	if len(s.batch) == 0 {
		if err := s.read(); err != nil {
			return err
		}
	}
	return s.send(ctx, to)
}

// read fills the batch: it waits for a first line, and then a little for more.
func (s *Shipper) read() error {
	if err := s.deadline(time.Time{}); err != nil {
		return errLog
	}
	for len(s.batch) < maxLines {
		lines, err := s.source.Lines()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return errLog
		}
		if len(s.batch) == 0 {
			if err := s.deadline(time.Now().Add(gather)); err != nil {
				return errLog
			}
		}
		s.batch = append(s.batch, lines...)
	}
	return nil
}

// deadline sets the source's, unless somebody is in a hurry.
func (s *Shipper) deadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hurry {
		t = time.Unix(1, 0)
	}
	return s.source.SetDeadline(t)
}

func (s *Shipper) send(ctx context.Context, to Poster) error {
	if len(s.batch) == 0 {
		return nil
	}
	boot, mac := s.identity()
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	if err := to.Log(ctx, report.Log{Boot: boot, MAC: mac, First: s.sent, Lines: s.batch}); err != nil {
		return err
	}
	s.sent += int64(len(s.batch))
	s.batch = nil
	return nil
}

// Flush sends what there is now, until that is done or ctx ends: before a hand-over, after which nothing can be sent. Before
// Run it does nothing.
func (s *Shipper) Flush(ctx context.Context) {
	s.mu.Lock()
	to := s.poster
	s.hurry = to != nil
	_ = s.source.SetDeadline(time.Unix(1, 0)) // whoever waits for lines stops waiting
	s.mu.Unlock()
	if to == nil {
		return
	}
	defer func() {
		s.mu.Lock()
		s.hurry = false
		s.mu.Unlock()
	}()
	for ctx.Err() == nil {
		s.working.Lock()
		err := s.send(ctx, to)
		if err == nil {
			err = s.read()
		}
		over := err != nil || len(s.batch) == 0
		s.working.Unlock()
		if over {
			return
		}
	}
}

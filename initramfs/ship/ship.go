// Package ship sends a node's log to the seeder.
//
// In go the kernel's log, which has everything in it, the node's own messages included, from before there was a network on;
// out come batches of lines, each sent until the seeder has it. Nothing is kept here but the batch on its way: what waits
// is in the kernel's ring. A boot that is started again begins anew, under its own identifier: the ring still has the lines of
// the one that died.
package ship

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// A batch has so many lines at most, report.MaxBatch bytes, or what comes within gather.
	maxLines = report.MaxBatchLines / 5
	gather   = 500 * time.Millisecond
	// retryFirst and retryMost bound the pause after a batch that could not be sent.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
	postTime   = 5 * time.Second
)

// Source is a log; kmsg.Reader is one. Lines fails with os.ErrDeadlineExceeded when the deadline is over and nothing more is
// there; what is there it returns in any case.
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

	// working is full while somebody reads and sends: a lock that need not be waited for. It guards batch and sent.
	working chan struct{}
	batch   []string // read, and not sent yet
	sent    int64

	mu     sync.Mutex
	hurry  int // so many don't wait for more lines
	poster Poster
}

// New returns a shipper of a log. identity returns what a node's reports have in Boot and MAC.
func New(source Source, identity func() (boot, mac string)) *Shipper {
	return &Shipper{source: source, identity: identity, working: make(chan struct{}, 1)}
}

// Continue makes the lines follow the first n of the same boot, which another program, or this one under another kernel, has sent. It
// is called before Run.
func (s *Shipper) Continue(n int64) { s.sent = n }

// Sent is how many lines of the boot the seeder has.
func (s *Shipper) Sent(ctx context.Context) int64 {
	if !s.work(ctx) {
		return 0
	}
	defer s.rest()
	return s.sent
}

// Run sends what there is and what comes, until ctx ends or the log can't be read.
func (s *Shipper) Run(ctx context.Context, to Poster) {
	s.mu.Lock()
	s.poster = to
	s.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _ = s.deadline(ctx, past) })()
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

// past is a deadline that is over.
var past = time.Unix(1, 0)

// step reads a batch, unless there is one, and sends it.
func (s *Shipper) step(ctx context.Context, to Poster) error {
	if !s.work(ctx) {
		return ctx.Err()
	}
	defer s.rest()
	if len(s.batch) == 0 {
		if err := s.read(ctx); err != nil {
			return err
		}
	}
	return s.send(ctx, to)
}

// work waits until nobody else reads and sends; false if ctx ends before.
func (s *Shipper) work(ctx context.Context) bool {
	select {
	case s.working <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Shipper) rest() { <-s.working }

// read fills the batch: it waits for a first line, and then a little for more.
func (s *Shipper) read(ctx context.Context) error {
	if err := s.deadline(ctx, time.Time{}); err != nil {
		return errLog
	}
	for size := 0; len(s.batch) < maxLines && size < report.MaxBatch; {
		lines, err := s.source.Lines()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return errLog
		}
		if len(s.batch) == 0 {
			if err := s.deadline(ctx, time.Now().Add(gather)); err != nil {
				return errLog
			}
		}
		s.batch = append(s.batch, lines...)
		for _, line := range lines {
			size += len(line)
		}
	}
	return nil
}

// deadline sets the source's, unless somebody is in a hurry.
func (s *Shipper) deadline(ctx context.Context, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hurry > 0 || ctx.Err() != nil {
		t = past
	}
	return s.source.SetDeadline(t)
}

// send sends the batch. A record of many lines may have made it too long: then the rest waits for the next time.
func (s *Shipper) send(ctx context.Context, to Poster) error {
	if len(s.batch) == 0 {
		return nil
	}
	lines := s.batch[:min(len(s.batch), maxLines)]
	boot, mac := s.identity()
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	if err := to.Log(ctx, report.Log{Boot: boot, MAC: mac, First: s.sent, Lines: lines}); err != nil && !never(err) {
		return err
	}
	s.sent += int64(len(lines))
	if s.batch = s.batch[len(lines):]; len(s.batch) == 0 {
		s.batch = nil
	}
	return nil
}

// never reports whether the seeder will not take the same lines another time either. They are dropped, rather than those after
// them held up; the seeder notes that some are missing.
func never(err error) bool {
	var status *client.StatusError
	return errors.As(err, &status) && (status.Code == http.StatusBadRequest || status.Code == http.StatusRequestEntityTooLarge)
}

// Flush sends what there is now, until that is done or ctx ends: before a hand-over, after which nothing can be sent. Before
// Run it does nothing.
func (s *Shipper) Flush(ctx context.Context) {
	to := s.hasten(1)
	defer s.hasten(-1)
	_ = s.deadline(ctx, past) // whoever waits for lines stops waiting
	if to == nil || !s.work(ctx) {
		return
	}
	defer s.rest()
	for ctx.Err() == nil {
		err := s.send(ctx, to)
		if err == nil && len(s.batch) == 0 {
			err = s.read(ctx)
		}
		if err != nil || len(s.batch) == 0 {
			return
		}
	}
}

// hasten adds to the number of those in a hurry, and returns who takes the lines; nil before Run.
func (s *Shipper) hasten(more int) Poster {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurry += more
	return s.poster
}

package seeders

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/seen"
	"github.com/boottorrent/boottorrent/internal/report"
)

// silence is for how long the own seeder has not answered. The zero value is that it does.
type silence struct {
	// since is when the first request began that got no answer, or when something was heard last if that is later; zero: nothing was asked since.
	since, heard time.Time
	// refused is that the last one was turned away at once: there is nobody who could be slow.
	refused bool
}

// times are how long things take; defaultTimes but in tests.
type times struct {
	// silent is for how long the own seeder may be silent before the node leaves it: one that is slow, because its link is full, answers one of
	// several requests within that. refused is the same where every connection is turned away at once: one that is started again is back by then.
	silent, refused time.Duration
	// pause is between two requests that find out whether it is dead, retry between two rounds of asking all where nobody answers.
	// list is how long the own seeder may take to send its list.
	pause, retry, list time.Duration
	// probe is how long a request may take at least that finds out whether the own seeder is dead.
	probe time.Duration
}

var defaultTimes = times{silent: 10 * time.Second, refused: 4 * time.Second, pause: time.Second, retry: 10 * time.Second, list: 5 * time.Second, probe: 2 * time.Second}

// tries is how often Insist asks the same seeder.
const tries = 3

// errNone is what is asked for before there is a seeder.
var errNone = errors.New("no seeder was found yet")

// Ask asks the own seeder, and where the node goes on with another meanwhile, that one.
func (s *Seeders) Ask(ctx context.Context, ask func(context.Context, *client.Client) error) error {
	for {
		now, _ := s.current()
		if now == nil {
			return errNone
		}
		began := time.Now()
		asking, stop := context.WithCancel(ctx)
		unhook := context.AfterFunc(now.used, stop)
		err := ask(asking, now.Client)
		unhook()
		stop()
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return err // which says nothing of the seeder
		case err != nil && now.used.Err() != nil:
			continue
		}
		s.heard(now, began, err)
		return err
	}
}

// Insist is Ask for what the node can't do without: where the own seeder doesn't answer, or what it sends doesn't verify, and others are known, it
// waits until the node has gone on with one of them, and asks that. Without others it fails as Ask does.
func (s *Seeders) Insist(ctx context.Context, ask func(context.Context, *client.Client) error) error {
	for try := 1; ; try++ {
		now, judged := s.current()
		err := s.Ask(ctx, ask)
		if err == nil || now == nil || ctx.Err() != nil || try >= tries {
			return err
		}
		switch {
		case refusable(err):
			if !s.replace(ctx, now, err) {
				return err
			}
		case !Unanswered(err), !s.mayMove():
			return err
		default:
			select {
			case <-now.used.Done():
			case <-judged:
			case <-ctx.Done():
				return err
			}
			if s.Silent() {
				return err
			}
		}
	}
}

// mayMove reports whether there is somebody to go on with, and who looks for one.
func (s *Seeders) mayMove() bool {
	s.mu.Lock()
	watched := s.watched
	s.mu.Unlock()
	return watched && s.knowsOthers()
}

// knowsOthers reports whether there is somebody to go on with.
func (s *Seeders) knowsOthers() bool { return len(s.Swarm()) > 1 }

// current is the own seeder, and what is closed when Watch has found out how it stands with it.
func (s *Seeders) current() (*own, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own.Load(), s.judged
}

// heard notes what the outcome of a request says of a seeder.
func (s *Seeders) heard(from *own, began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.own.Load() != from:
	case !Unanswered(err):
		s.silence = silence{heard: time.Now()}
	default:
		if s.silence.since.IsZero() {
			s.silence.since = began
		}
		if s.silence.since.Before(s.silence.heard) {
			s.silence.since = s.silence.heard
		}
		s.silence.refused = turnedAway(err)
		s.look()
	}
}

// Received notes how much a transfer has brought: a seeder that sends is not dead, however slowly it answers.
func (s *Seeders) Received(now, before report.Transfer) {
	own, err := s.Addr()
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	alone := len(s.swarm()) == 1
	if from(own, now, alone) > from(own, before, alone) {
		s.silence = silence{heard: time.Now()}
	}
}

// from is how much of a transfer came from the own seeder. Where there are others the sums may be theirs.
func from(own netip.Addr, t report.Transfer, alone bool) (sum int64) {
	if alone {
		return t.FromSeeder + t.FromHTTP
	}
	for _, source := range t.Seeders {
		if source.Addr == own {
			sum += source.Bytes
		}
	}
	return sum
}

// Silent reports whether the own seeder has not answered what it was asked last.
func (s *Seeders) Silent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.silence.since.IsZero()
}

// Unanswered reports whether an error of the client is that nobody answered. What is refused is an answer.
func Unanswered(err error) bool {
	var status *client.StatusError
	return err != nil && !errors.As(err, &status) && !errors.Is(err, client.ErrGone) && !refusable(err)
}

// refusable reports whether an error of the client is that a seeder sent what this node must not take.
func refusable(err error) bool {
	var untrusted client.Untrusted
	var old *seen.OldError
	return errors.As(err, &untrusted) || errors.As(err, &old)
}

// turnedAway reports whether an error is that the machine, or the network, says at once that nobody is there.
func turnedAway(err error) bool {
	for _, errno := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// Poster sends to the own seeder: reports (report.Poster, report.Exchanger) and the log (ship.Poster).
type Poster struct{ *Seeders }

// Report implements report.Poster.
func (p Poster) Report(ctx context.Context, r report.Report) error {
	_, err := p.Exchange(ctx, r)
	return err
}

// Exchange implements report.Exchanger.
func (p Poster) Exchange(ctx context.Context, r report.Report) (answer report.Answer, err error) {
	err = p.Ask(ctx, func(ctx context.Context, c *client.Client) (err error) {
		answer, err = c.Exchange(ctx, r)
		return err
	})
	return answer, err
}

// Log implements ship.Poster.
func (p Poster) Log(ctx context.Context, l report.Log) error {
	return p.Ask(ctx, func(ctx context.Context, c *client.Client) error { return c.Log(ctx, l) })
}

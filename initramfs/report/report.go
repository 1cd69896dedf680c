// Package report keeps a node's account of its own boot (which step, since when, how far) and posts it to the seeder
// whenever it changes and from time to time. A seeder that does not listen never holds up the boot.
package report

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// How often an unchanged state is posted, and the least time between two posts of a changing one.
const (
	idleInterval = 15 * time.Second
	busyInterval = time.Second
	postTimeout  = 5 * time.Second
)

// Pace is how often a Reporter posts.
type Pace struct {
	// Busy is the least time between two posts, Idle the time after which an unchanged state is posted.
	Busy, Idle time.Duration
	// Most is the longest pause after failures: pauses double, from Busy on. It is at least Busy.
	Most time.Duration
}

// Poster sends one report; client.Client is one.
type Poster interface {
	Report(ctx context.Context, r report.Report) error
}

// Reporter holds the current report. Make one with New; its methods may be called from any goroutine.
type Reporter struct {
	now func() time.Time

	mu      sync.Mutex
	current report.Report
	began   time.Time
	// before are the durations of a Reporter's that this one goes on from, uptimeBefore what to add to this kernel's uptime.
	before       map[report.Step]float64
	uptimeBefore float64
	changed      chan struct{}
	// urgent has a value when the next report is not to wait.
	urgent chan struct{}
	load   load
}

// New returns a Reporter for one boot. now is time.Now, or a test's clock.
func New(now func() time.Time) *Reporter {
	id := make([]byte, 8)
	rand.Read(id)
	return &Reporter{
		now:     now,
		current: report.Report{Boot: hex.EncodeToString(id), Durations: map[report.Step]float64{}},
		changed: make(chan struct{}, 1), urgent: make(chan struct{}, 1),
	}
}

// Continue returns a Reporter that goes on from the last report of the same boot, by another program or under another kernel: what
// steps took adds up, and so does the uptime.
func Continue(last report.Report, now func() time.Time) *Reporter {
	r := &Reporter{now: now, current: last, began: now(), before: last.Durations, uptimeBefore: last.Uptime - Uptime(), changed: make(chan struct{}, 1), urgent: make(chan struct{}, 1)}
	if r.current.Durations = maps.Clone(last.Durations); r.current.Durations == nil {
		r.current.Durations = map[report.Step]float64{}
	}
	return r
}

// Begin says that a step has begun.
func (r *Reporter) Begin(step report.Step) {
	r.update(func(c *report.Report) {
		c.Step, c.State, c.Error = step, report.Running, ""
		r.began = r.now()
	})
}

// End says that the running step has ended, well if err is nil.
func (r *Reporter) End(err error) {
	r.update(func(c *report.Report) {
		if err != nil {
			c.State, c.Error = report.Failed, report.Clip(err.Error(), report.MaxError)
			return
		}
		c.State = report.Done
		c.Durations[c.Step] = r.before[c.Step] + r.now().Sub(r.began).Seconds()
	})
}

// Set changes what a report says besides the step: addresses, bytes, the system.
func (r *Reporter) Set(change func(*report.Report)) { r.update(change) }

// SetNow is Set, and has the report posted at once.
func (r *Reporter) SetNow(change func(*report.Report)) {
	r.update(change)
	select {
	case r.urgent <- struct{}{}:
	default:
	}
}

func (r *Reporter) update(change func(*report.Report)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.current)
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Snapshot returns the report as it stands.
func (r *Reporter) Snapshot() report.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.current
	c.Durations = maps.Clone(c.Durations)
	c.Uptime = r.uptimeBefore + Uptime()
	return c
}

// Post posts the report once: before a hand-over, which ends every other way to say something.
func (r *Reporter) Post(ctx context.Context, p Poster) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	r.measure("/")
	return p.Report(ctx, r.Snapshot())
}

// Run posts until ctx ends: soon after every change, and every 15 s without one. What can't be posted is dropped.
func (r *Reporter) Run(ctx context.Context, p Poster) {
	r.RunAt(ctx, p, Pace{Busy: busyInterval, Idle: idleInterval, Most: busyInterval})
}

// RunAt is Run at another pace. What SetNow says waits for no pause.
func (r *Reporter) RunAt(ctx context.Context, p Poster, pace Pace) {
	pause := pace.Busy
	for ctx.Err() == nil {
		if err := r.Post(ctx, p); err == nil {
			pause = pace.Busy
		} else {
			pause = min(2*pause, pace.Most)
		}
		select {
		case <-ctx.Done():
		case <-r.urgent:
			continue
		case <-time.After(pause):
		}
		select {
		case <-ctx.Done():
		case <-r.urgent:
		case <-r.changed:
		case <-time.After(pace.Idle - pace.Busy):
		}
	}
}

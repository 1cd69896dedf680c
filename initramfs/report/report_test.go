package report

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/boottorrent/boottorrent/internal/report"
)

// posts collects what is posted; it may be told to fail.
type posts struct {
	mu   sync.Mutex
	got  []report.Report
	fail error
}

func (p *posts) Report(_ context.Context, r report.Report) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, r)
	return p.fail
}

// all are those so far.
func (p *posts) all() []report.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func TestDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Now)
		r.Begin(report.Network)
		time.Sleep(3 * time.Second)
		r.End(nil)
		r.Begin(report.Discover)
		time.Sleep(time.Second)
		r.End(errors.New("no seeder"))
		s := r.Snapshot()
		if s.Durations[report.Network] != 3 {
			t.Errorf("network took %v s, want 3", s.Durations[report.Network])
		}
		if _, ok := s.Durations[report.Discover]; ok || s.State != report.Failed || s.Error != "no seeder" {
			t.Errorf("a failed step: %+v", s)
		}
	})
}

// Under another kernel the boot goes on: what steps took adds up, and so does the uptime.
func TestContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := report.Report{Boot: "b00t", System: "debian", Uptime: Uptime() + 100, Durations: map[report.Step]float64{report.Network: 3, report.Choose: 7}}
		r := Continue(last, time.Now)
		r.Begin(report.Network)
		time.Sleep(2 * time.Second)
		r.End(nil)
		s := r.Snapshot()
		if s.Boot != "b00t" || s.System != "debian" || s.Durations[report.Network] != 5 || s.Durations[report.Choose] != 7 {
			t.Errorf("it goes on as %+v", s)
		}
		if since := s.Uptime - Uptime(); since < 99 || since > 101 {
			t.Errorf("the uptime is %.1f s more than this kernel's, want 100", since)
		}
		if last.Durations[report.Network] != 3 {
			t.Error("the report that it went on from was changed")
		}
		if s := Continue(report.Report{}, time.Now).Snapshot(); s.Durations == nil {
			t.Error("a report without durations is gone on from without")
		}
	})
}

// A change is posted within a second; without one there is still a sign of life now and then, and a seeder that fails is
// simply asked again.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, p := New(time.Now), &posts{fail: errors.New("down")}
		ended := make(chan struct{})
		go func() { r.Run(ctx, p); close(ended) }()
		synctest.Wait()
		r.Begin(report.Fetch)
		time.Sleep(busyInterval)
		synctest.Wait()
		if got := p.all(); len(got) != 2 || got[1].Step != report.Fetch {
			t.Fatalf("after a change: %d posts, %+v", len(got), got)
		}
		time.Sleep(idleInterval)
		synctest.Wait()
		if n := len(p.all()); n != 3 {
			t.Errorf("after an idle interval: %d posts, want 3", n)
		}
		cancel()
		<-ended
	})
}

// What SetNow says is posted at once, in whichever pause the reporter is, and nothing else changes its pace.
func TestSetNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, p := New(time.Now), &posts{}
		ended := make(chan struct{})
		go func() { r.RunAt(ctx, p, Pace{Busy: time.Minute, Idle: time.Hour, Most: time.Hour}); close(ended) }()
		synctest.Wait()
		for i, pause := range []time.Duration{time.Second, 10 * time.Minute, 0} { // the first and last in the least pause, the second in the long one
			time.Sleep(pause)
			r.SetNow(func(c *report.Report) { c.Phase1 = &report.Phase1{Served: int64(i)} })
			synctest.Wait()
			if got := p.all(); got[len(got)-1].Phase1 == nil || got[len(got)-1].Phase1.Served != int64(i) {
				t.Fatalf("%d: %+v", i, got[len(got)-1].Phase1)
			}
		}
		cancel()
		<-ended
	})
}

// However much there is to say of a failure, the seeder takes the report.
func TestLongErrorFits(t *testing.T) {
	r := New(time.Now)
	r.Begin(report.Network)
	r.End(errors.New("interfaces: " + strings.Repeat("é<", report.MaxBody)))
	body, err := json.Marshal(r.Snapshot())
	if err != nil || len(body) > report.MaxBody || !strings.HasPrefix(r.Snapshot().Error, "interfaces: é<é") || !utf8.ValidString(r.Snapshot().Error) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// A report is a copy: what is done later does not change it.
func TestSnapshotIsACopy(t *testing.T) {
	r := New(time.Now)
	before := r.Snapshot()
	r.Begin(report.Hardware)
	r.End(nil)
	if len(before.Durations) != 0 || before.Boot == "" {
		t.Errorf("snapshot changed: %+v", before)
	}
}

// Another program of the same boot goes on from the last report, and asks a seeder that is away less and less often.
func TestContinueAtAnotherPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := New(time.Now)
		first.Begin(report.Launch)
		time.Sleep(time.Second)
		first.End(nil)
		r := Continue(first.Snapshot(), time.Now)
		r.Begin(report.Give)
		if s := r.Snapshot(); s.Boot != first.Snapshot().Boot || s.Durations[report.Launch] != 1 || s.Step != report.Give || s.State != report.Running {
			t.Errorf("it goes on with %+v", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		p := &posts{fail: errors.New("down")}
		ended := make(chan struct{})
		go func() {
			r.RunAt(ctx, p, Pace{Busy: time.Second, Idle: time.Second, Most: 8 * time.Second})
			close(ended)
		}()
		time.Sleep(15 * time.Second) // at 0, 2, 6, 14
		synctest.Wait()
		if n := len(p.all()); n != 4 {
			t.Errorf("%d posts in 15 s to a seeder that is away", n)
		}
		cancel()
		<-ended
	})
}

package swarm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// tiersRoom drives tiers by a clock of its own against trackers that answer or fail.
type tiersRoom struct {
	tiers *tiers
	now   time.Time
	// down are the trackers that refuse, mute those that never answer.
	down, mute map[string]bool
	// said is what they were asked, as "SECONDS URL EVENT" with "visit" for the question for a few.
	said  []string
	began time.Time
}

func newTiersRoom(first, second []string) *tiersRoom {
	now := time.Unix(1000, 0)
	return &tiersRoom{tiers: newTiers(first, second, now, 30*time.Second), now: now, began: now, down: map[string]bool{}, mute: map[string]bool{}}
}

// run lets time pass; trackers ask for an interval of 5 s.
func (r *tiersRoom) run(d time.Duration) {
	for end := r.now.Add(d); ; {
		asks, again := r.tiers.next(r.now)
		for _, a := range asks {
			what := a.event
			if a.visit {
				what = fmt.Sprint("visit ", a.want)
			}
			r.said = append(r.said, strings.TrimSpace(fmt.Sprint(r.now.Sub(r.began).Seconds(), " ", a.url, " ", what)))
			var err error
			if r.mute[a.url] {
				continue
			}
			if r.down[a.url] {
				err = errors.New("refused")
			}
			r.tiers.answered(a, 5*time.Second, err, r.now)
		}
		if len(asks) > 0 {
			continue // an answer may change what is due
		}
		if again.After(end) {
			r.now = end
			return
		}
		r.now = again
	}
}

// heard returns what was said since the last call.
func (r *tiersRoom) heard() []string {
	said := r.said
	r.said = nil
	return said
}

func (r *tiersRoom) want(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := r.heard(); !slices.Equal(got, want) {
		t.Errorf("%s: asked %q, want %q", what, got, want)
	}
}

func TestTiersVisitOneAtATime(t *testing.T) {
	r := newTiersRoom([]string{"own"}, []string{"b", "c"})
	r.run(6 * time.Second)
	r.want(t, "the own tracker, and soon once more", "0 own started", "1.5 own")
	r.run(150 * time.Second)
	visits := slices.DeleteFunc(r.heard(), func(s string) bool { return !strings.Contains(s, "visit") })
	if want := []string{"30 b visit 2", "90 c visit 2", "150 b visit 2"}; !slices.Equal(visits, want) {
		t.Errorf("visits %q, want %q", visits, want)
	}
	if known := r.tiers.known(); !slices.Equal(known, []string{"own"}) {
		t.Errorf("%q know us", known)
	}
}

func TestTiersOwnTrackerFails(t *testing.T) {
	r := newTiersRoom([]string{"own"}, []string{"b", "c"})
	r.run(5 * time.Second)
	r.heard()
	r.down["own"] = true
	r.run(11 * time.Second) // it fails since 6.5
	if got := r.heard(); slices.ContainsFunc(got, func(s string) bool { return !strings.HasSuffix(s, " own") }) {
		t.Errorf("asked %q though the own one fails only for a while", got)
	}
	r.run(time.Second)
	r.want(t, "it fails for too long", "16.5 b started", "16.5 c started")
	r.run(8 * time.Second)
	if got := r.heard(); !slices.Contains(got, "18 b") || !slices.Contains(got, "23 c") {
		t.Errorf("asked %q, want b and c at their intervals", got)
	}
	r.down["own"] = false
	r.run(30 * time.Second)
	got := r.heard()
	if i := slices.IndexFunc(got, func(s string) bool { return strings.HasSuffix(s, "b stopped") }); i < 0 ||
		slices.ContainsFunc(got[i+2:], func(s string) bool { return !strings.HasSuffix(s, " own") && !strings.Contains(s, "visit") }) {
		t.Errorf("asked %q, want b and c told that we leave, and the own one alone from then on", got)
	}
	if known := r.tiers.known(); !slices.Equal(known, []string{"own"}) {
		t.Errorf("%q know us", known)
	}
}

func TestTiersDoubt(t *testing.T) {
	r := newTiersRoom([]string{"own"}, []string{"b", "c"})
	r.run(5 * time.Second)
	r.heard()
	r.tiers.doubt(r.now)
	r.run(time.Second)
	r.want(t, "it answers", "5 own")
	r.down["own"] = true
	r.tiers.doubt(r.now)
	r.run(time.Second)
	r.want(t, "it refuses: the others at once, in their order", "6 own", "6 b started", "6 c started", "7 own")

	r = newTiersRoom([]string{"own"}, []string{"b", "c"})
	r.run(5 * time.Second)
	r.heard()
	r.mute["own"] = true
	r.tiers.doubt(r.now)
	r.run(4 * time.Second)
	r.want(t, "it does not answer", "5 own", "8 b started", "8 c started")
}

// TestTiersSetMeanwhile has the second seeder become the own one, and the first one none.
func TestTiersSetMeanwhile(t *testing.T) {
	r := newTiersRoom([]string{"own"}, []string{"b", "c"})
	r.run(3 * time.Second)
	r.heard()
	gone := r.tiers.set([]string{"b"}, []string{"c", "d"}, r.now)
	if !slices.Equal(gone, []string{"own"}) {
		t.Errorf("%q have to be told that we leave, want the first one", gone)
	}
	r.run(time.Second)
	r.want(t, "b is the own one", "3 b started")
	r.tiers.set([]string{"b"}, []string{"c"}, r.now)
	r.run(time.Second)
	r.want(t, "nothing changes for b", "4.5 b")
	r.tiers.set([]string{"c"}, []string{"b"}, r.now)
	r.run(time.Second)
	r.want(t, "c is, and b is told so", "5 c started", "5 b stopped")
}

func TestTiersComplete(t *testing.T) {
	r := newTiersRoom([]string{"own"}, []string{"b"})
	r.run(3 * time.Second)
	r.heard()
	r.tiers.finish(r.now)
	r.run(time.Minute)
	got := r.heard()
	if got[0] != "3 own completed" || got[1] != "8 own" || slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, " b") }) {
		t.Errorf("asked %q, want the own one to be told, and no other to be asked for peers", got)
	}

	r = newTiersRoom([]string{"own"}, nil)
	asks, _ := r.tiers.next(r.now)
	r.tiers.finish(r.now) // while the first announce is under way
	r.tiers.answered(asks[0], 5*time.Second, nil, r.now)
	r.run(time.Second)
	r.want(t, "completed while it is being announced", "0 own completed")
}

// TestTiersWithoutFirst has an engine that knows no tracker of its own seeder.
func TestTiersWithoutFirst(t *testing.T) {
	r := newTiersRoom(nil, []string{"b", "c"})
	r.run(time.Second)
	r.want(t, "all are announced to", "0 b started", "0 c started")
}

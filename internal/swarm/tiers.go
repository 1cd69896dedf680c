package swarm

import (
	"slices"
	"time"
)

// The trackers of a torrent stand in two tiers (BEP 12). In the first are that of the engine's own seeder, and what a caller named;
// each of them is announced to at its interval. In the second are those of the site's other seeders. As long as the first answers,
// one of the second at a time is asked for a few peers, rarely, so that some are known who are elsewhere. When the first is silent all of the second are announced to like the first, until that is over.

const (
	// farInterval is how often one tracker of the second tier is asked as long as the first tier answers, and farWant for how many peers.
	farInterval = time.Minute
	farWant     = 2
	// quietTime is for how long the first tier has to fail before it is silent. A seeder that is started anew is away for less, and a
	// whole room would turn to all others. Once there are doubts, as nothing comes, one failure will do, or no answer for doubtTime.
	quietTime, doubtTime = 10 * time.Second, 3 * time.Second
)

// tiers decides whom to announce to, and when. Its methods are for one goroutine.
type tiers struct {
	all []*tierTracker
	// far is when the next tracker of the second tier is asked; turn is the one after which that is.
	far  time.Time
	turn int
	// doubted is since when the first tier is doubted; zero: it is not.
	doubted time.Time
	// reach says that peers from elsewhere are wanted, whatever the first tier answers.
	reach bool
	// complete says that the torrent is complete, so that only others want peers.
	complete bool
}

// tierTracker is how a tracker stands.
type tierTracker struct {
	url   string
	first bool
	// due is when it is announced to next.
	due time.Time
	// asking says that it is being asked.
	asking bool
	// answers is how often it answered an announce, by which it knows us. event is what it has not been told.
	answers int
	event   string
	// failed is since when requests have failed; zero: the last one did not. retry is the pause after the next failure.
	failed time.Time
	retry  time.Duration
}

// ask is a request to a tracker: an announce, or the question for a few peers by one that is not to know us.
type ask struct {
	url, event string
	want       int
	visit      bool
}

func newTiers(first, second []string, now time.Time, spread time.Duration) *tiers {
	t := &tiers{far: now.Add(spread)}
	t.set(first, second, now)
	return t
}

// set makes these the trackers, and returns those that know us and are none any more. What is known of the others stays.
func (t *tiers) set(first, second []string, now time.Time) (gone []string) {
	before := t.all
	t.all = nil
	for i, url := range append(slices.Clone(first), second...) {
		if t.find(url) != nil {
			continue
		}
		tr := &tierTracker{url: url, due: now, retry: minRetry}
		if k := slices.IndexFunc(before, func(b *tierTracker) bool { return b.url == url }); k >= 0 {
			tr = before[k]
		}
		if tr.first = i < len(first); tr.first && tr.answers == 0 {
			tr.due = now
		}
		t.all = append(t.all, tr)
	}
	for _, b := range before {
		if t.find(b.url) == nil && b.answers > 0 {
			gone = append(gone, b.url)
		}
	}
	return gone
}

func (t *tiers) find(url string) *tierTracker {
	if i := slices.IndexFunc(t.all, func(tr *tierTracker) bool { return tr.url == url }); i >= 0 {
		return t.all[i]
	}
	return nil
}

// silent reports whether no tracker of the first tier answers. If one does, again is when that may be over.
func (t *tiers) silent(now time.Time) (silent bool, again time.Time) {
	doubts := !t.doubted.IsZero()
	again = now.Add(farInterval)
	if doubts {
		again = t.doubted.Add(doubtTime)
	}
	if doubts && !again.After(now) {
		return true, again
	}
	silent = true
	for _, tr := range t.all {
		switch {
		case !tr.first:
		case tr.failed.IsZero():
			silent = false
		case !doubts && now.Sub(tr.failed) < quietTime:
			silent, again = false, earlier(again, tr.failed.Add(quietTime))
		}
	}
	return silent, again
}

// doubt has the first tier asked now, and taken for silent if it does not answer soon.
func (t *tiers) doubt(now time.Time) {
	if !t.doubted.IsZero() {
		return
	}
	t.doubted = now
	for _, tr := range t.all {
		if tr.first {
			tr.due = now
		}
	}
}

// finish takes up that the torrent is complete: those that know us are told at once, and the others of the first tier asked.
func (t *tiers) finish(now time.Time) {
	t.complete = true
	for _, tr := range t.all {
		if tr.answers > 0 || tr.asking {
			tr.event = "completed"
		}
		if tr.answers > 0 || tr.first {
			tr.due = now
		}
	}
}

// next returns what to ask now, in the trackers' order, and when to call it again at the latest.
func (t *tiers) next(now time.Time) (asks []ask, again time.Time) {
	silent, again := t.silent(now)
	if silent {
		again = now.Add(farInterval)
	}
	both := silent || t.reach
	for _, tr := range t.all {
		if tr.asking || !tr.first && !both {
			continue
		}
		if tr.due.After(now) {
			again = earlier(again, tr.due)
			continue
		}
		tr.asking = true
		asks = append(asks, ask{tr.url, tr.toSay(), numWant, false})
	}
	if !both {
		asks = append(asks, t.visit(now)...)
		again = earlier(again, t.far)
	}
	return asks, again
}

// toSay is the event of an announce.
func (tr *tierTracker) toSay() string {
	if tr.answers == 0 {
		return "started"
	}
	return tr.event
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// visit returns whom of the second tier to ask for a few peers, and whom to tell that we are no longer with it.
func (t *tiers) visit(now time.Time) (asks []ask) {
	for _, tr := range t.all {
		if !tr.first && tr.answers > 0 && !tr.asking {
			asks = append(asks, ask{tr.url, "stopped", 0, false})
			tr.answers, tr.event, tr.due, tr.asking = 0, "", now, true
		}
	}
	if t.far.After(now) {
		return asks
	}
	t.far = now.Add(farInterval)
	if t.complete {
		return asks
	}
	for k := range t.all {
		i := (t.turn + 1 + k) % len(t.all)
		if tr := t.all[i]; !tr.first && !tr.asking {
			t.turn, tr.asking = i, true
			return append(asks, ask{tr.url, "", farWant, true})
		}
	}
	return asks
}

// answered takes up how a request ended, and reports whether the tracker knows us by it and said who takes part.
func (t *tiers) answered(a ask, interval time.Duration, err error, now time.Time) bool {
	tr := t.find(a.url)
	if tr == nil {
		return false
	}
	tr.asking = false
	if err != nil {
		if tr.failed.IsZero() {
			tr.failed = now
		}
		if a.event != "stopped" {
			tr.due = now.Add(tr.retry)
			tr.retry = min(2*tr.retry, maxRetry)
		}
		return false
	}
	tr.retry, tr.failed = minRetry, time.Time{}
	if tr.first {
		t.doubted = time.Time{}
	}
	if a.visit || a.event == "stopped" {
		return false
	}
	if tr.answers++; tr.answers == 1 {
		interval = min(interval, soon)
	}
	if tr.event == a.event {
		tr.event = ""
	}
	if tr.due = now.Add(interval); tr.event != "" {
		tr.due = now // what has happened meanwhile
	}
	return true
}

// known are the trackers that know us.
func (t *tiers) known() (urls []string) {
	for _, tr := range t.all {
		if tr.answers > 0 {
			urls = append(urls, tr.url)
		}
	}
	return urls
}

package swarm

import (
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// told is what each tracker last said of the number of incomplete peers, and whether it says anything.
type told struct {
	mu   sync.Mutex
	last map[string]count
	// failing are the trackers of which the last answer did not come, by URL.
	failing map[string]bool
	// trackers is how many there are.
	trackers int
}

// expect takes up how many trackers there are.
func (t *told) expect(trackers int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trackers = trackers
}

// forget takes up that a tracker is none any more.
func (t *told) forget(tracker string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.last, tracker)
	delete(t.failing, tracker)
}

// count holds until a time.
type count struct {
	incomplete int
	until      time.Time
}

// set notes an answer. It is good for three intervals: a tracker that is gone by then knows no better than we do.
func (t *told) set(tracker string, a answer, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		t.last = map[string]count{}
	}
	t.last[tracker] = count{a.incomplete, now.Add(3 * a.interval)}
	delete(t.failing, tracker)
}

// fail notes that a tracker gave no answer.
func (t *told) fail(tracker string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failing == nil {
		t.failing = map[string]bool{}
	}
	t.failing[tracker] = true
}

// silent reports whether no tracker answers: each failed the last time that it was asked, or none has answered since began for so long
// that none is waited for.
func (t *told) silent(now, began time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for tracker := range t.last {
		if !t.failing[tracker] {
			return false
		}
	}
	return t.trackers > 0 && len(t.failing) >= t.trackers || now.Sub(began) >= trackerTime
}

// incomplete is the highest number that is still good: trackers may know different parts of a swarm.
func (t *told) incomplete(now time.Time) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.last {
		if now.Before(c.until) {
			n = max(n, c.incomplete)
		}
	}
	return n
}

// Leechers returns how many others lack something of a torrent that is complete here: as trackers count them, or as they
// are connected, whichever is more. It is 0 for a torrent that the engine doesn't have or has not all of.
func (e *Engine) Leechers(h catalog.InfoHash) int {
	f := e.entry(h)
	if f == nil || !f.torrent.Complete().Bool() {
		return 0
	}
	connected, pieces := 0, len(f.store.pieces)
	for _, pc := range f.torrent.PeerConns() {
		if int(pc.PeerPieces().GetCardinality()) < pieces {
			connected++
		}
	}
	return max(connected, f.told.incomplete(time.Now()))
}

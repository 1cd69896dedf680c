package swarm

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// webSeeds are where a torrent's pieces are had by HTTP, and which of those fail. Its methods may be called concurrently.
type webSeeds struct {
	engine *Engine
	entry  *entry
	// given are URLs that are not of the engine's seeders.
	given []string

	mu      sync.Mutex
	failing map[string]*failing
}

// webSeed is one of them. Those given are of no seeder, and near.
type webSeed struct {
	url string
	side
}

// failing is a web seed that failed the last time: it is asked once more after a pause, which doubles each time.
type failing struct {
	pause time.Duration
	until time.Time
}

// bases are the web seeds to use now, the first to be asked in front: those given, that of the own seeder, and while far peers are
// turned to those of the other seeders. These go first if the own seeder is silent.
func (w *webSeeds) bases() (all []webSeed) {
	for _, url := range w.given {
		all = append(all, webSeed{url: url})
	}
	out := w.entry.reach.out()
	for i, s := range w.engine.seeders.get() {
		url := s.HTTP + catalog.WebSeedPath(w.entry.layout.hash)
		known := slices.IndexFunc(all, func(b webSeed) bool { return b.url == url })
		seed := webSeed{url, side{addr: s.addr(), seeder: true, far: i > 0}}
		switch {
		case s.HTTP == "" || seed.far && !out:
		case known >= 0:
			all[known] = seed
		default:
			all = append(all, seed)
		}
	}
	if w.entry.reach.silent.Load() {
		slices.SortStableFunc(all, func(a, b webSeed) int { return last(a) - last(b) })
	}
	return all
}

// last puts near web seeds behind far ones.
func last(s webSeed) int {
	if s.far {
		return 0
	}
	return 1
}

// next is the web seed to ask: the first that does not fail, or the first of all.
func (w *webSeeds) next(now time.Time) (webSeed, bool) {
	bases := w.bases()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range bases {
		switch f := w.failing[s.url]; {
		case f == nil:
			return s, true
		case !now.Before(f.until):
			f.until = now.Add(f.pause) // one request at a time finds out whether it is back
			return s, true
		}
	}
	if len(bases) == 0 {
		return webSeed{}, false
	}
	return bases[0], true
}

func (w *webSeeds) worked(s webSeed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.failing, s.url)
}

// failed notes that one failed, and reports whether there is another that does not.
func (w *webSeeds) failed(s webSeed, now time.Time) bool {
	bases := w.bases()
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.failing[s.url]
	if f == nil {
		f = &failing{pause: minRetry / 2}
		w.failing[s.url] = f
	}
	if f.until.Before(now) || f.pause < minRetry { // not for each of the requests that were under way
		f.pause = min(2*f.pause, maxRetry)
	}
	f.until = now.Add(f.pause)
	return slices.ContainsFunc(bases, func(b webSeed) bool { return w.failing[b.url] == nil })
}

// received takes up that so many bytes came.
func (w *webSeeds) received(s webSeed, n int) {
	w.entry.http.Add(int64(n))
	w.entry.reach.received(s.side, time.Now())
	if s.addr != (netip.Addr{}) {
		w.engine.conns.fetched(w.entry, s.addr, n)
	}
}

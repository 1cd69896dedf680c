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
	// trying says that it is asked once more.
	trying bool
}

// bases are the web seeds to use now, the first to be asked in front: that of the own seeder, those given, and while far peers are
// turned to those of the other seeders. These go first if the own seeder is silent.
func (w *webSeeds) bases() (all []webSeed) {
	var far []webSeed
	for i, s := range w.engine.seeders.get() {
		seed := webSeed{s.HTTP + catalog.WebSeedPath(w.entry.layout.hash), side{addr: s.addr(), seeder: true, far: i > 0}}
		switch {
		case s.HTTP == "":
		case i == 0:
			all = append(all, seed)
		case w.entry.reach.out():
			far = append(far, seed)
		}
	}
	for _, url := range w.given {
		if len(all) == 0 || all[0].url != url {
			all = append(all, webSeed{url: url})
		}
	}
	if w.entry.reach.silent.Load() {
		return append(far, all...)
	}
	return append(all, far...)
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
			f.until, f.trying = now.Add(f.pause), true // one request at a time finds out whether it is back
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
	switch {
	case f == nil:
		f = &failing{pause: minRetry}
		w.failing[s.url] = f
	case f.trying: // not for each of the requests that were under way
		f.pause, f.trying = min(2*f.pause, maxRetry), false
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

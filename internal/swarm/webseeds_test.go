package swarm

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// namedSeeds are web seeds of three seeders and one that was given, without an engine around them.
func namedSeeds() *webSeeds {
	e := &Engine{}
	e.seeders.set([]Seeder{{HTTP: "http://a"}, {HTTP: "http://b"}, {Torrent: netip.MustParseAddrPort("10.0.0.2:1")}, {HTTP: "http://c"}})
	f := &entry{layout: &layout{}, reach: newReach()}
	return &webSeeds{engine: e, entry: f, given: []string{"http://given/", "http://a" + catalog.WebSeedPath(f.layout.hash)}, failing: map[string]*failing{}}
}

// names are the hosts of the web seeds to use, in order.
func (w *webSeeds) names() (all []string) {
	for _, s := range w.bases() {
		all = append(all, name(s))
	}
	return all
}

func name(s webSeed) string {
	for _, n := range []string{"a", "b", "c"} {
		if s.url == "http://"+n+catalog.WebSeedPath(catalog.InfoHash{}) {
			return n
		}
	}
	return s.url
}

func TestWebSeedsInOrder(t *testing.T) {
	w := namedSeeds()
	check := func(what string, want ...string) {
		t.Helper()
		if got := w.names(); !slices.Equal(got, want) {
			t.Errorf("%s: web seeds %q, want %q", what, got, want)
		}
	}
	check("near peers do", "a", "http://given/")
	w.entry.reach.step(w.engine.others())
	check("far ones are turned to", "a", "http://given/", "b", "c")
	w.entry.reach.silent.Store(true)
	check("the own seeder is silent", "b", "c", "a", "http://given/")
	w.entry.reach.back()
	check("near peers do again", "a", "http://given/")
}

func TestWebSeedsThatFail(t *testing.T) {
	w := namedSeeds()
	w.given = nil
	w.entry.reach.step(w.engine.others())
	now := time.Unix(1000, 0)
	next := func(want string) webSeed {
		t.Helper()
		s, ok := w.next(now)
		if !ok || name(s) != want {
			t.Errorf("after %s: %q is asked, want %q", now.Sub(time.Unix(1000, 0)), name(s), want)
		}
		return s
	}
	a := next("a")
	for range 4 { // the requests under way
		if !w.failed(a, now) {
			t.Error("there is no other")
		}
	}
	next("b")
	now = now.Add(minRetry)
	next("a") // once
	b := next("b")
	w.failed(a, now)
	now = now.Add(minRetry)
	next("b") // the pause has doubled
	now = now.Add(minRetry)
	w.worked(next("a"))
	next("a")
	c := webSeed{url: "http://c" + catalog.WebSeedPath(catalog.InfoHash{})}
	w.failed(a, now)
	w.failed(b, now)
	if w.failed(c, now) {
		t.Error("all fail, and there is said to be another")
	}
	next("a")
}

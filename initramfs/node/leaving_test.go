package node

import (
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// TestLeaving plays what the swarm wants, second by second, and looks when the node goes on and why.
func TestLeaving(t *testing.T) {
	// lacking is demand in which so many lack something until the given second, and a node fetches from us all the while.
	lacking := func(n, until int) func(int) demand {
		return func(s int) demand {
			if s < until {
				return demand{Uploaded: int64(s) * 10, Leechers: n}
			}
			return demand{Uploaded: int64(until) * 10}
		}
	}
	swarm := catalog.Seeding{Until: catalog.UntilSwarm, Limit: 300}
	for name, c := range map[string]struct {
		rule   catalog.Seeding
		demand func(second int) demand
		want   int
		why    string
	}{
		"time":                      {catalog.Seeding{Until: catalog.UntilTime, Limit: 30}, lacking(5, 1000), 30, "the time is over"},
		"time, nobody there":        {catalog.Seeding{Until: catalog.UntilTime, Limit: 30}, lacking(0, 0), 30, "the time is over"},
		"swarm, nobody there":       {swarm, lacking(0, 0), 12, "no other node lacks anything"},
		"swarm, all served":         {swarm, lacking(3, 100), 111, "no other node lacks anything"},
		"swarm, always wanted":      {swarm, lacking(3, 1000), 300, "the time is over"},
		"swarm, others serve them":  {swarm, func(s int) demand { return demand{Uploaded: int64(min(s, 50)), Leechers: 1} }, 80, "1 node is still lacking"},
		"swarm, runtime is fetched": {swarm, func(s int) demand { return demand{Runtime: int64(min(s, 100)), Leechers: 2} }, 130, "2 nodes are still lacking"},
		"swarm, one comes late": {swarm, func(s int) demand {
			if s >= 10 && s < 40 {
				return demand{Uploaded: int64(s), Leechers: 1}
			}
			return demand{Uploaded: 40}
		}, 51, "no other node"},
		"ratio":       {catalog.Seeding{Until: catalog.UntilRatio, Ratio: 1.5, Limit: 300}, lacking(1, 1000), 150, "1.50 times"},
		"ratio, late": {catalog.Seeding{Until: catalog.UntilRatio, Ratio: 1.5, Limit: 60}, lacking(0, 0), 60, "the time is over"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Unix(1e9, 0)
			l := newLeaving(c.rule, 1000, began)
			second := 0
			for ; second < 1000; second++ {
				now := began.Add(time.Duration(second) * time.Second)
				d := c.demand(second)
				if l.over(now, d) {
					break
				}
				if text := l.until(now, d); (text == "") != (c.rule.Until == catalog.UntilTime) {
					t.Fatalf("after %d s: waits for %q", second, text)
				}
			}
			if second != c.want || !strings.Contains(l.why, c.why) {
				t.Errorf("after %d s: %s; want %d s: %s", second, l.why, c.want, c.why)
			}
		})
	}
}

// A boot part is given away for as long as somebody takes it, but never for long.
func TestLeavingOfABootPart(t *testing.T) {
	for name, c := range map[string]struct {
		took   time.Duration
		demand func(tenth int) demand
		want   time.Duration
	}{
		"alone":                       {time.Second, func(int) demand { return demand{} }, 500 * time.Millisecond},
		"a room, done at once":        {time.Second, func(i int) demand { return demand{Uploaded: int64(min(i, 14)), Leechers: max(0, 14-i)} }, 1800 * time.Millisecond},
		"a room on slow links":        {time.Minute, func(i int) demand { return demand{Uploaded: int64(i), Leechers: 9} }, 10 * time.Second},
		"one that comes much later":   {5 * time.Second, func(i int) demand { return demand{Uploaded: int64(i), Leechers: 1} }, 5 * time.Second},
		"one that takes nothing here": {time.Minute, func(int) demand { return demand{Leechers: 1} }, 2 * time.Second},
	} {
		began := time.Unix(1e9, 0)
		l := newPartLeaving(c.took, 1000, began)
		now := began
		for i := 0; !l.over(now, c.demand(i)); i++ {
			now = now.Add(time.Second / 10)
		}
		if got := now.Sub(began); got != c.want {
			t.Errorf("%s: it leaves after %s (%s), want %s", name, got, l.why, c.want)
		}
	}
}

func TestLeavingSaysWhatItWaitsFor(t *testing.T) {
	began := time.Unix(1e9, 0)
	for want, c := range map[string]struct {
		rule  catalog.Seeding
		after time.Duration
		d     demand
	}{
		"5 nodes are still fetching it":                 {catalog.Seeding{Until: catalog.UntilSwarm, Limit: 300}, time.Second, demand{Leechers: 5}},
		"no other node lacks anything: starting in 8 s": {catalog.Seeding{Until: catalog.UntilSwarm, Limit: 300}, 4 * time.Second, demand{}},
		"given away are 0.25 of 1.50 times that":        {catalog.Seeding{Until: catalog.UntilRatio, Ratio: 1.5, Limit: 300}, time.Second, demand{Uploaded: 250}},
		"":                                              {catalog.Seeding{Until: catalog.UntilTime, Limit: 300}, time.Second, demand{Leechers: 5}},
	} {
		l := newLeaving(c.rule, 1000, began)
		now := began.Add(c.after)
		if l.over(now, c.d) {
			t.Errorf("%+v is over", c.rule)
		}
		if got := l.until(now, c.d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

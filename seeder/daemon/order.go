package daemon

import (
	"errors"
	"fmt"
	"slices"

	"github.com/boottorrent/boottorrent/seeder/status"
)

// order is one of `seeder publish`: publish a system as it is now.
type order struct {
	name string
	// done gets the answer; it has room for it.
	done chan answer
}

// answer is what became of an order.
type answer struct {
	status status.System
	err    error
}

// ordered reports whether a system is to be published by an order.
func (f *follower) ordered(name string) bool {
	return slices.ContainsFunc(f.waiting, func(o *order) bool { return o.name == name })
}

// obey begins to carry out an order. A file that somebody has open for writing is waited for by nobody: that is said at once.
func (f *follower) obey(o *order) {
	if file := f.watcher.OpenFile(o.name); file != "" {
		o.done <- answer{err: fmt.Errorf("%s is open for writing; say it again when it is complete", file)}
		return
	}
	f.watcher.Settle(o.name)
	f.waiting = append(f.waiting, o)
	f.fetch.hurry(o.name)
	f.reload()
	if !f.listings.has(o.name) || isRuntime(o.name) {
		f.waiting = slices.DeleteFunc(f.waiting, func(w *order) bool { return w == o })
		o.done <- answer{err: errors.New("the site has no such system; give the name of its folder in oss/")}
	}
}

// answer answers the orders that are carried out.
func (f *follower) answer() {
	if len(f.waiting) == 0 {
		return
	}
	now := f.status()
	f.waiting = slices.DeleteFunc(f.waiting, func(o *order) bool {
		if f.fetch.busy(o.name) || f.running != nil && f.running.name == o.name || slices.ContainsFunc(f.queue, func(t *task) bool { return t.name == o.name }) {
			return false
		}
		i := slices.IndexFunc(now.Systems, func(s status.System) bool { return s.Name == o.name })
		if i < 0 {
			o.done <- answer{err: fmt.Errorf("the system %s is gone", o.name)}
			return true
		}
		o.done <- answer{status: now.Systems[i]}
		return true
	})
}

// status is what became of every folder, as of now.
func (f *follower) status() status.Site {
	s := f.listings.status(f.dir, f.watcher.Restless())
	for i := range s.Systems {
		s.Systems[i].Fetch = f.fetch.progress(s.Systems[i].Name)
	}
	if cat := f.shown.Load(); cat != nil {
		s.Counter = cat.Counter
	}
	if f.helpers != nil {
		counts := f.helpers.Counts()
		s.Phase1 = &counts
	}
	if err := f.counter.Err(); err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
	return s
}

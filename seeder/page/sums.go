package page

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/helpers"
	page "github.com/boottorrent/boottorrent/templates/page"
)

// session are the nodes that downloaded last, about at one time, with when they began and ended.
type session struct {
	nodes []member
	// began and ended are of all of them; running says that some still download.
	began, ended time.Time
	running      bool
}

// member is a node of a session.
type member struct {
	*machine
	began, ended time.Time
	running      bool
}

func (m *member) took() time.Duration { return m.ended.Sub(m.began) }

// rate is how fast it got its system, in bytes per second, over all of the time.
func (m *member) rate() float64 {
	return float64(m.node.Done) / max(m.took().Seconds(), 0.5)
}

// sessionGap is what lies at least between two sessions.
const sessionGap = 2 * time.Minute

// session finds the last one among some machines.
func lastSession(list []machine, now time.Time) session {
	var all []member
	for i := range list {
		n := list[i].node
		if n == nil || n.FetchBegan.IsZero() {
			continue
		}
		m := member{machine: &list[i], began: n.FetchBegan, ended: n.FetchEnded}
		if m.ended.IsZero() {
			if m.running = list[i].State == page.Downloading; m.running {
				m.ended = now
			} else {
				m.ended = n.Seen
			}
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b member) int { return a.began.Compare(b.began) })
	var s session
	for _, m := range all {
		if len(s.nodes) == 0 || m.began.Sub(s.ended) > sessionGap {
			s = session{began: m.began, ended: m.ended}
		}
		s.nodes = append(s.nodes, m)
		if m.ended.After(s.ended) {
			s.ended = m.ended
		}
		s.running = s.running || m.running
	}
	return s
}

// sums are what is said of all machines of a view.
func (r *room) sums(v *view) page.Sums {
	number := func(state string) string { return strconv.Itoa(v.number[state]) }
	s := lastSession(v.list, r.now)
	return page.Sums{
		Waiting: number(page.Waiting), Downloading: number(page.Downloading), Running: number(page.Running), Failed: number(page.Failed),
		Off: number(page.Off), Time: s.time(), Copies: s.copies(r), Slowest: s.slowest(), Phase1: phase1(r.phase1),
	}
}

// time says how long the room took, or has taken so far, beside the machine that was done first.
func (s *session) time() string {
	if len(s.nodes) == 0 {
		return ""
	}
	all := round(s.ended.Sub(s.began))
	one := time.Duration(-1)
	for i := range s.nodes {
		if m := &s.nodes[i]; m.node.FetchEnded.Sub(m.began) > 0 && m.node.State != report.Failed && (one < 0 || m.took() < one) {
			one = m.took()
		}
	}
	words := "Downloading took the room " + all
	if s.running {
		words = "The room has been downloading for " + all
	}
	switch {
	case one < 0:
		return words + "; no machine is done yet."
	case len(s.nodes) == 1:
		return words + "."
	}
	return fmt.Sprintf("%s (%s); one machine took %s.", words, text.Count(len(s.nodes), "machine"), round(one))
}

// round is a time for a person.
func round(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// copies says how much of each system the seeder sent in a session.
func (s *session) copies(r *room) string {
	type sent struct {
		title       string
		size, bytes int64
		nodes       int
	}
	all := map[string]*sent{}
	for _, m := range s.nodes {
		n := m.node
		if n.Size <= 0 {
			continue
		}
		one := all[n.InfoHash]
		if one == nil {
			one = &sent{title: r.titleOf(n)}
			all[n.InfoHash] = one
		}
		one.size = max(one.size, n.Size)
		one.bytes += n.FromSeeder + n.FromHTTP
		one.nodes++
	}
	var words []string
	for _, one := range all {
		words = append(words, fmt.Sprintf("%.2f copies of %s to %s", float64(one.bytes)/float64(one.size), one.title, text.Count(one.nodes, "machine")))
	}
	if len(words) == 0 {
		return ""
	}
	slices.Sort(words)
	if n := len(words) - 4; n > 0 {
		words = append(words[:4], fmt.Sprintf("and of %d more", n))
	}
	return "The seeder sent " + strings.Join(words, ", ") + "."
}

// titleOf is that of what a node fetches.
func (r *room) titleOf(n *report.Node) string {
	if r.cat != nil {
		for i := range r.cat.Systems {
			if s := &r.cat.Systems[i]; s.Name == n.System {
				return s.Title
			}
		}
	}
	return cmp.Or(n.System, "a system")
}

// phase1 says who gives phase 1 and who waits for it; empty: nobody but the seeder gives it, and nobody waits.
func phase1(c *helpers.Counts) string {
	if c == nil || c.Helpers == 0 && c.Waiting == 0 && c.FromHelpers == 0 {
		return ""
	}
	return fmt.Sprintf("Phase 1: %s from the seeder, %s from %s that are up; %s it now, %s for it.", text.Size(c.FromSeeder), text.Size(c.FromHelpers),
		text.Count(c.Helpers, "machine"), loads(c.Loading, "loads", "load"), loads(c.Waiting, "waits", "wait"))
}

// loads says what a number of machines do.
func loads(n int, one, more string) string {
	if n == 1 {
		return "1 machine " + one
	}
	return fmt.Sprintf("%d machines %s", n, more)
}

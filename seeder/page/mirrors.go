package page

import (
	"fmt"

	"github.com/boottorrent/boottorrent/seeder/status"
	page "github.com/boottorrent/boottorrent/templates/page"
)

// sayMirrors says on the front page how this seeder stands with the one that it follows, and its mirrors with it.
func sayMirrors(d *page.Room, s status.Site, r *room) {
	if s.Mirror != nil && s.Mirror.InStep { // else it is said among the problems
		d.Mirror = sentence(s.Mirror.Words(r.now))
	}
	behind := map[string]int{}
	for i := range r.machines {
		if n := r.machines[i].node; n != nil && n.Via != "" {
			behind[n.Via]++
		}
	}
	for _, m := range s.Mirrors {
		d.Mirrors = append(d.Mirrors, page.Fact{Name: m.HTTP, Value: status.MirrorWords(m, s.Counter, behind[m.HTTP])})
	}
	if s.Mirror == nil {
		return
	}
	for i := range d.Systems {
		for _, sys := range s.Systems {
			if sys.Name == d.Systems[i].Name {
				d.Systems[i].Here = whereabouts(sys)
			}
		}
	}
}

// whereabouts says at a mirror whether a system's files are there; empty: they are.
func whereabouts(s status.System) string {
	switch s.State {
	case status.Fetching:
		return fmt.Sprintf("is being fetched: %d %% are here", s.Done*100/max(s.Size, 1))
	case status.Elsewhere:
		return "is fetched when a machine wants it"
	}
	return ""
}

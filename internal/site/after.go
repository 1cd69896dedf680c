package site

import (
	"fmt"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// readAfter reads what follows when a system has ended. That a system of that name exists is checked when all are known.
func readAfter(m *mapping) string {
	t := m.text("after", catalog.AfterMenu)
	t.value = strings.TrimSpace(t.value)
	m.check.after = append(m.check.after, t)
	return t.value
}

// checkAfter reports every after that names no system, or one that isn't whole, and warns of systems that follow each other for ever.
func (r *systemReader) checkAfter() {
	words := []string{catalog.AfterMenu, catalog.AfterReboot, catalog.AfterPowerOff}
	for _, t := range r.after {
		state := r.named(t.value)
		if slices.Contains(words, t.value) || state == nameWhole {
			continue
		}
		if state != nameUnknown {
			r.shared.problem(t.place, fmt.Sprintf("after: the system %q %s", t.value, state), "mend it; until then the menu follows")
			continue
		}
		do := "write menu, reboot, poweroff or the name of a folder in " + SystemsDir
		if near := nearest(t.value, append(words, r.names()...)); near != "" {
			do = fmt.Sprintf("did you mean %s?", near)
		}
		r.shared.problem(t.place, fmt.Sprintf("after: there is no system %q", t.value), do)
	}
	next := map[string]string{}
	for _, sys := range r.site.Systems {
		next[sys.Name] = sys.Launch.After
	}
	for _, sys := range r.site.Systems {
		r.warnOfCycle(sys.Name, next)
	}
}

// warnOfCycle warns of a system that comes back to itself. next is what follows each.
func (r *systemReader) warnOfCycle(name string, next map[string]string) {
	seen := []string{name}
	for at := next[name]; at != ""; at = next[at] {
		if at == name {
			r.shared.warning(startOf(r.shared.shownSystem(name)), fmt.Sprintf("after: %s never comes back to the menu", strings.Join(append(seen, at), " → ")),
				"if nodes are not meant to do this for ever, write after: menu in one of them")
			return
		}
		if slices.Contains(seen, at) {
			return // of which that system is warned
		}
		seen = append(seen, at)
	}
}

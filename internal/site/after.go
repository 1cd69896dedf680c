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

// checkAfter reports every after that names no system, and warns of systems that follow each other for ever.
func checkAfter(c *checker, s *Site, names []string) {
	words := []string{catalog.AfterMenu, catalog.AfterReboot, catalog.AfterPowerOff}
	for _, t := range c.after {
		if slices.Contains(words, t.value) || slices.Contains(names, t.value) {
			continue
		}
		do := "write menu, reboot, poweroff or the name of a folder in " + SystemsDir
		if near := nearest(t.value, append(words, names...)); near != "" {
			do = fmt.Sprintf("did you mean %s?", near)
		}
		c.problem(t.place, fmt.Sprintf("after: there is no system %q", t.value), do)
	}
	next := map[string]string{}
	for _, sys := range s.Systems {
		next[sys.Name] = sys.Launch.After
	}
	for _, sys := range s.Systems {
		seen := []string{sys.Name}
		for at := next[sys.Name]; at != ""; at = next[at] {
			if at == sys.Name {
				c.warning(startOf(c.shownSystem(sys.Name)), fmt.Sprintf("after: %s never comes back to the menu", strings.Join(append(seen, at), " → ")),
					"if nodes are not meant to do this for ever, write after: menu in one of them")
				break
			}
			if slices.Contains(seen, at) {
				break // of which that system is warned
			}
			seen = append(seen, at)
		}
	}
}

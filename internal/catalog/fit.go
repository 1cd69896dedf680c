package catalog

import (
	"fmt"
	"slices"
)

// entryPrefix is how far the entries of systems are indented.
const entryPrefix = "  "

// entrySize is how many bytes a system takes in the document.
func entrySize(s *System) int {
	b, err := encode(s, entryPrefix)
	if err != nil {
		return MaxEntry + 1 // no value of the type fails to encode
	}
	return len(entryPrefix) + len(b) + len(",")
}

// Fit returns, by name, why a catalog has no room for a system. The default system is taken in first, then the others as they are
// listed: one that does not fit leaves its room to those behind it. Without what Fit names, the catalog is within its limits, also
// when [AfterMenu] takes the place of a system that is left out.
func (c *Catalog) Fit() map[string]error {
	room, systems, files := c.room(), MaxSystems, MaxSiteFiles
	excluded := map[string]error{}
	for _, s := range c.byRank() {
		size := max(entrySize(s), entrySize(afterMenu(s)))
		switch {
		case systems == 0:
			excluded[s.Name] = fmt.Errorf("there is no room for it in the catalog, which has %d systems; offer fewer systems", MaxSystems)
		case size > room:
			excluded[s.Name] = fmt.Errorf("there is no room for it in the catalog, of which nodes read %d bytes; offer fewer systems, "+
				"or shorten descriptions and command lines", MaxDocument)
		case s.List.Files > files:
			excluded[s.Name] = fmt.Errorf("there is no room for its %d files beside those of the other systems: a site has %d; "+
				"put files into archives or disk images, or offer fewer systems", s.List.Files, MaxSiteFiles)
		default:
			room, systems, files = room-size, systems-1, files-s.List.Files
		}
	}
	return excluded
}

// room is how many bytes of a document are left for systems.
func (c *Catalog) room() int {
	bare := *c
	bare.Systems = []System{}
	head, err := encode(&bare, "")
	if err != nil {
		return 0
	}
	return MaxDocument - len(head) - len("\n  ")
}

// byRank lists the systems, the default one first.
func (c *Catalog) byRank() []*System {
	var all []*System
	for i := range c.Systems {
		if s := &c.Systems[i]; s.Name == c.Defaults.System {
			all = slices.Insert(all, 0, s)
		} else {
			all = append(all, s)
		}
	}
	return all
}

// afterMenu is the system if the menu follows it instead of another system.
func afterMenu(s *System) *System {
	other := *s
	if other.Launch.After != "" {
		other.Launch.After = AfterMenu
	}
	return &other
}

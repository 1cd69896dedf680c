package catalog

import (
	"fmt"
	"slices"
)

// entryPrefix is how far the entries of systems are indented.
const entryPrefix = "  "

// entrySize is how many bytes a System or Runtime takes in the document.
func entrySize(s any) int {
	b, err := encode(s, entryPrefix)
	if err != nil {
		return MaxEntry + 1 // no value of the type fails to encode
	}
	return len(entryPrefix) + len(b) + len(",")
}

// amount is what systems and their boot parts take of a catalog.
type amount struct{ bytes, systems, files, runtimes int }

// Fit returns, by name, why a catalog has no room for a system with its boot part. The default system is taken in first, then the
// others as they are listed: one that does not fit leaves its room to those behind it. Without what Fit names, the catalog is within
// its limits, also when [AfterMenu] takes the place of a system that is left out.
func (c *Catalog) Fit() map[string]error {
	left := amount{c.room(), MaxSystems, MaxSiteFiles, MaxSystems - len(c.sharedRuntimes())}
	boot := map[string]*Runtime{}
	for i := range c.Runtimes {
		boot[c.Runtimes[i].Name] = &c.Runtimes[i]
	}
	excluded := map[string]error{}
	for _, s := range c.byRank() {
		takes := s.takes(boot)
		if err := takes.exceeds(left); err != nil {
			excluded[s.Name] = err
			continue
		}
		left = amount{left.bytes - takes.bytes, left.systems - 1, left.files - takes.files, left.runtimes - takes.runtimes}
	}
	return excluded
}

// takes is what a system takes of a catalog with its boot part, which is among the runtimes boot.
func (s *System) takes(boot map[string]*Runtime) amount {
	a := amount{max(entrySize(s), entrySize(afterMenu(s))), 1, s.List.Files, 0}
	if r := s.Launch.Root; r != nil && r.Boot != nil && boot[r.Boot.Part] != nil {
		part := boot[r.Boot.Part]
		a.bytes, a.files, a.runtimes = a.bytes+entrySize(part), a.files+part.List.Files, 1
	}
	return a
}

// exceeds says what there is no room for.
func (a amount) exceeds(left amount) error {
	switch {
	case a.systems > left.systems:
		return fmt.Errorf("there is no room for it in the catalog, which has %d systems; offer fewer systems", MaxSystems)
	case a.runtimes > left.runtimes:
		return fmt.Errorf("there is no room for its kernel in the catalog, which has %d boot parts and runtimes; offer fewer systems", MaxSystems)
	case a.bytes > left.bytes:
		return fmt.Errorf("there is no room for it in the catalog, of which nodes read %d bytes; offer fewer systems, "+
			"or shorten descriptions and command lines", MaxDocument)
	case a.files > left.files:
		return fmt.Errorf("there is no room for its %d files beside those of the other systems: a site has %d; "+
			"put files into archives or disk images, or offer fewer systems", a.files, MaxSiteFiles)
	}
	return nil
}

// sharedRuntimes are those that are no system's boot part.
func (c *Catalog) sharedRuntimes() []Runtime {
	return slices.DeleteFunc(slices.Clone(c.Runtimes), func(r Runtime) bool { return IsBootPart(r.Name) })
}

// room is how many bytes of a document are left for systems and their boot parts.
func (c *Catalog) room() int {
	bare := *c
	bare.Systems, bare.Runtimes = []System{}, c.sharedRuntimes()
	head, err := encode(&bare, "")
	if err != nil {
		return 0
	}
	return MaxDocument - len(head) - len("\n  ") - len(`,
  "runtimes": [
  ]`)
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

// FitNext takes away what was said to be started next, the last first, until groups, machines and the rest of it fit, and returns that.
func (r *Rules) FitNext() (left []Next) {
	all := r.Next
	for len(r.Next) > 0 && (len(r.Next) > MaxNext || r.CheckSize() != nil) {
		r.Next = r.Next[:len(r.Next)-1-len(r.Next)/16]
	}
	return all[len(r.Next):]
}

package daemon

import (
	"fmt"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// resolve takes the names out of a catalog that lead to no system in it, and says in words which those are of groups: without its default,
// nodes wait for a choice; where another system was to follow, the menu does; what a group offers has one system less; what was to be
// started next is not, nor what a group that is gone was to start.
func resolve(cat *catalog.Catalog) (gone []string) {
	names := map[string]bool{}
	for _, s := range cat.Systems {
		names[s.Name] = true
	}
	known := func(name string, words ...string) bool { return names[name] || slices.Contains(words, name) }
	if !known(cat.Defaults.System, "", catalog.StartLocal) {
		cat.Defaults.System = ""
	}
	for i := range cat.Systems {
		if after := &cat.Systems[i].Launch.After; !known(*after, "", catalog.AfterMenu, catalog.AfterReboot, catalog.AfterPowerOff) {
			*after = catalog.AfterMenu
		}
	}
	for i := range cat.Rules.Groups {
		gone = append(gone, resolveGroup(&cat.Rules.Groups[i], known)...)
	}
	cat.Rules.Next = slices.DeleteFunc(slices.Clone(cat.Rules.Next), func(n catalog.Next) bool {
		isGroup := func(g catalog.Group) bool { return g.Name == n.Group }
		missing := !known(n.What, catalog.StartLocal, catalog.StartMenu) ||
			n.Group != "" && n.Group != catalog.GroupAll && !slices.ContainsFunc(cat.Rules.Groups, isGroup)
		if missing {
			gone = append(gone, fmt.Sprintf("next %s of %s", n.What, n.Group+n.MAC))
		}
		return missing
	})
	return gone
}

// resolveGroup is resolve for the settings of a group. The site's own values, which they may share, stay as they are.
func resolveGroup(g *catalog.Group, known func(name string, words ...string) bool) (gone []string) {
	bad := func(key, name string) { gone = append(gone, fmt.Sprintf("%s %s of group %s", key, name, g.Name)) }
	if g.Default != nil && !known(*g.Default, "", catalog.StartLocal) {
		bad("default", *g.Default)
		g.Default = new(string)
	}
	if !known(g.Next, "", catalog.StartLocal, catalog.StartMenu) {
		bad("next", g.Next)
		g.Next = ""
	}
	if g.Systems == nil {
		return gone
	}
	offered := []string{} // not nil: that would be all
	for _, name := range g.Systems {
		if known(name, catalog.StartLocal) {
			offered = append(offered, name)
		} else {
			bad("system", name)
		}
	}
	g.Systems = offered
	return gone
}

// warnOfUnresolved says which names of groups lead to no system, once for as long as that is so.
func (p *publisher) warnOfUnresolved() {
	if len(p.unresolved) > 0 && !slices.Equal(p.unresolved, p.warned) {
		p.log.Warn("groups, or what is to be started next, name systems or groups that are not there; nodes do without them", "names", strings.Join(p.unresolved, ", "))
	}
	p.warned = p.unresolved
}

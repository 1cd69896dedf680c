package rules

import (
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// What was said for a machine counts before what was said for its group, and that before what was said for all; what a machine has
// followed once counts no longer for it.
func TestNext(t *testing.T) {
	const one, two, three = "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"
	cat := &catalog.Catalog{Rules: catalog.Rules{
		Groups: []catalog.Group{
			{Name: "teachers", Match: catalog.Match{MAC: []string{two, three}}, Settings: catalog.Settings{Next: "menu"}},
			{Name: catalog.GroupAll},
		},
		Next: []catalog.Next{
			{ID: "1", MAC: one, What: "x", Once: true, Done: []string{one}},
			{ID: "2", MAC: two, What: "y", Once: true},
			{ID: "3", Group: "teachers", What: "z", Once: true, Done: []string{three}},
			{ID: "4", Group: catalog.GroupAll, What: "local"},
		},
	}}
	for mac, want := range map[string]string{one: "4", two: "2", three: "4"} {
		if d := For(cat, Facts{MAC: mac, Complete: true}); d.NextID != want {
			t.Errorf("%s follows %s (%s), want %s", mac, d.NextID, d.Next, want)
		}
	}
	cat.Rules.Next = cat.Rules.Next[:3]
	if d := For(cat, Facts{MAC: three, Complete: true}); d.Next != "menu" || d.NextID != "" {
		t.Errorf("what the group says: %q by %q", d.Next, d.NextID)
	}
}

// Where it is not known in which group a machine is, what was said for a group may be for it; only where nothing was, what was said for
// all is.
func TestNextOfUnknownGroup(t *testing.T) {
	groups := []catalog.Group{{Name: "small", Match: catalog.Match{Memory: &catalog.MemoryBound{Op: "<", Bytes: 1 << 30}}}}
	all, small := catalog.Next{ID: "all", Group: catalog.GroupAll, What: "local"}, catalog.Next{ID: "small", Group: "small", What: "menu"}
	for want, next := range map[string][]catalog.Next{"all": {all}, "": {small, all}} {
		cat := &catalog.Catalog{Rules: catalog.Rules{Groups: groups, Next: next}}
		if d := For(cat, Facts{MAC: "52:54:00:00:00:01"}); d.NextID != want || len(d.Unknown) == 0 {
			t.Errorf("with %v it follows %q", next, d.NextID)
		}
	}
}

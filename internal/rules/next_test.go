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

package daemon

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/site"
)

// A change of the rules is published at once. A system that a group names and that isn't there stops nothing: its name is left out of the
// catalog, with a line in the log, until it is there. Commands learn from the running seeder what a machine has reported.
func TestRulesArePickedUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := start(t, s)
	config := filepath.Join(s.Dir, site.ConfigFile)
	before, err := os.ReadFile(config)
	must(t, err)
	write := func(more string) {
		must(t, os.WriteFile(config, append(before[:len(before):len(before)], more...), 0o644))
	}
	group := func(c *catalog.Catalog) catalog.Group {
		if len(c.Rules.Groups) == 0 {
			return catalog.Group{}
		}
		return c.Rules.Groups[0]
	}

	write("groups: [{name: desks, match: {memory: '>= 8 GiB'}, default: two, systems: [two], next: two}]\n" +
		"machines: [{mac: '52:54:00:00:00:01', name: desk-1, notes: by the window, address: 10.0.0.9}]\n")
	r.awaitLog("takes effect after a restart", "addresses in machines")
	r.awaitLog("nodes do without them", "default two of group desks")
	c := r.await("a group", func(c *catalog.Catalog) bool { return group(c).Name == "desks" })
	if g := group(c); *g.Default != "" || g.Systems == nil || len(g.Systems) > 0 || g.Next != "" {
		t.Errorf("names that lead nowhere: %+v", g)
	}
	if text := string(r.get(catalog.PathCatalog)); strings.Contains(text, "window") || strings.Contains(text, "10.0.0.9") {
		t.Errorf("what is for people only is in the catalog:\n%s", text)
	}

	writeSystem(t, s.Dir, "two", 'b')
	c = r.await("the system that the group names", func(c *catalog.Catalog) bool { return group(c).Default != nil && *group(c).Default == "two" })
	if g := group(c); !reflect.DeepEqual(g.Systems, []string{"two"}) || g.Next != "two" {
		t.Errorf("with the system there: %+v", g)
	}

	node := report.Report{Boot: "b", MAC: "52:54:00:00:00:01", IP: "10.0.0.9", Step: report.Choose, State: report.Running, MemoryMiB: 8192}
	body, err := json.Marshal(node)
	must(t, err)
	resp, err := http.Post(r.base+catalog.PathReport, "application/json", bytes.NewReader(body))
	must(t, err)
	resp.Body.Close()
	nodes, err := Control{Dir: s.Dir}.Nodes(t.Context())
	if err != nil || len(nodes) != 1 || nodes[0].MemoryMiB != 8192 {
		t.Errorf("the running seeder knows %+v, %v", nodes, err)
	}

	write("groups: [{name: all, menu: hidden}]\n")
	r.await("another group", func(c *catalog.Catalog) bool {
		return group(c).Menu == catalog.MenuHidden && len(c.Rules.Machines) == 0
	})
}

// What is taken out of a catalog stays in the site, whose systems may come.
func TestResolve(t *testing.T) {
	name := func(s string) *string { return &s }
	groups := []catalog.Group{
		{Name: "a", Settings: catalog.Settings{Default: name("gone"), Systems: []string{"one", "gone", "local"}, Next: "gone"}},
		{Name: "b", Settings: catalog.Settings{Default: name("local"), Systems: []string{"gone"}, Next: "menu"}},
		{Name: "c", Settings: catalog.Settings{Default: name("one"), Next: "local"}},
	}
	s := &site.Site{Groups: groups}
	cat := &catalog.Catalog{Version: catalog.Version, Defaults: catalog.Defaults{System: "gone"}, Rules: s.Rules(), Systems: []catalog.System{{Name: "one", Launch: catalog.Launch{After: "gone"}}}}
	cat.Rules.Next = []catalog.Next{{ID: "1", Group: "all", What: "gone"}, {ID: "2", Group: "all", What: "local"}, {ID: "3", Group: "a", What: "one"}}
	want := "default gone of group a, next gone of group a, system gone of group a, system gone of group b, next gone of all"
	if gone := strings.Join(resolve(cat), ", "); gone != want {
		t.Errorf("taken out: %s\nwant:      %s", gone, want)
	}
	r := cat.Rules
	if a := r.Groups[0]; *a.Default != "" || strings.Join(a.Systems, " ") != "one local" || a.Next != "" {
		t.Errorf("a: %+v", a)
	}
	if b := r.Groups[1]; *b.Default != "local" || b.Systems == nil || len(b.Systems) > 0 || b.Next != "menu" {
		t.Errorf("b, which would offer everything: %+v", b)
	}
	if c := r.Groups[2]; *c.Default != "one" || c.Systems != nil || c.Next != "local" {
		t.Errorf("c: %+v", c)
	}
	if len(r.Next) != 2 || cat.Defaults.System != "" || cat.Systems[0].Launch.After != catalog.AfterMenu {
		t.Errorf("next %+v, default %q, after %q", r.Next, cat.Defaults.System, cat.Systems[0].Launch.After)
	}
	if a := s.Groups[0]; *a.Default != "gone" || len(a.Systems) != 3 || a.Next != "gone" {
		t.Errorf("the site was changed: %+v", a)
	}
	d := Decide(s, nil, rules.Facts{MAC: "52:54:00:00:00:01", Complete: true})
	if d.Group != "" || *d.Settings.Default != "" {
		t.Errorf("without any group: %+v", d)
	}
}

// A system whose name has come to mean something else, published by an older release, keeps nothing else from being published.
func TestNameThatIsAWordNow(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	c.release('a')
	one := c.listings.get("one")
	version := *one.version
	version.System.Name = catalog.StartMenu
	old := c.listings.get(catalog.StartMenu)
	old.last, old.version = one.last, &version
	old.last.System.Name = catalog.StartMenu
	if _, err := c.publish(c.follower.site); err != nil {
		t.Fatal(err)
	}
	if len(c.published.Systems) != 1 || !strings.Contains(old.excluded, "stands for something else") {
		t.Errorf("%d systems; it is excluded because %q", len(c.published.Systems), old.excluded)
	}
}

package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/next"
)

// What is wrong with groups, or with what is to be started next, keeps no machine from what it got before.
func TestOneMistakeStopsNobody(t *testing.T) {
	c := newClocked(t)
	config := filepath.Join(c.site.Dir, site.ConfigFile)
	before, err := os.ReadFile(config)
	must(t, err)
	write := func(more string) *catalog.Catalog {
		must(t, os.WriteFile(config, append(before[:len(before):len(before)], more...), 0o644))
		return c.load()
	}
	if got := write("groups: [{name: desks, match: {mac: '52:54:00:*'}}]\n"); len(got.Rules.Groups) != 1 {
		t.Fatalf("groups: %+v", got.Rules.Groups)
	}
	for _, broken := range []string{"groups: [{name: desks, match: {mac: ???}}]\n", "groups: {\n", "groups: [{name: desks, menu: locked}]\n", "machines: [{mac: ff:ff:ff:ff:ff:ff}]\n"} {
		got, counter := write(broken), c.published.Counter
		if len(got.Rules.Groups) != 1 || got.Counter != counter || len(c.status().Problems) == 0 {
			t.Errorf("%s: %+v; %q", broken, got.Rules, c.status().Problems)
		}
	}
	write("groups: [{name: desks, match: {mac: '52:54:00:*'}}]\n")

	state := filepath.Join(c.site.Dir, site.StateDir)
	for _, text := range []string{`[{"id":"a","mac":"ff:ff:ff:ff:ff:ff","what":"one"}]`, `[{"id":"a","group":"gone","what":"one"},{"id":"b","group":"desks","what":"gone"}]`, "[", "\x00"} {
		must(t, os.WriteFile(filepath.Join(state, "next.json"), []byte(text), 0o644))
		c.publisher.next = next.Open(state, slog.New(slog.DiscardHandler), c.now)
		if got := write("groups: [{name: desks, match: {mac: '52:54:00:*'}, hostname: 'h-{{.Last}}'}, {name: all}] # " + strings.Repeat("x", len(text)) + "\n"); len(got.Rules.Groups) != 2 || len(got.Rules.Next) != 0 {
			t.Errorf("%q in the state: %+v", text, got.Rules)
		}
	}
	if _, err := c.publisher.next.Set([]next.Target{{Group: "desks"}}, "one", true); err != nil {
		t.Fatal(err)
	}
	id := c.publisher.next.List()[0].ID
	c.publisher.next.Follow("01:00:5e:00:00:01", id) // as a stranger reports it
	c.publisher.next.Follow("52:54:00:00:00:01", id)
	if got := write("groups: [{name: desks, match: {mac: '52:54:00:*'}}]\n"); len(got.Rules.Next) != 1 || len(got.Rules.Next[0].Done) != 1 {
		t.Errorf("next: %+v", got.Rules.Next)
	}
}

package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// A catalog that has no room for all systems has some of them: the default, and the first in the order shown. What is left out says so,
// and what changes afterwards is published all the same.
func TestMoreThanACatalogHasRoomFor(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	c.release('a')
	one := c.listings.get("one").version
	const many = 300
	for i := range many {
		l := c.listings.get(fmt.Sprintf("s%03d", i))
		v := store.Version{Torrent: one.Torrent, Dir: one.Dir, Files: one.Files, FileList: one.FileList, System: one.System}
		v.System.Name, v.System.Title = fmt.Sprintf("s%03d", i), fmt.Sprintf("title %03d", i)
		v.System.Launch = catalog.Launch{Method: catalog.MethodBin, After: fmt.Sprintf("s%03d", many-1-i),
			Bin: &catalog.Bin{Program: "vmlinuz", Args: []string{strings.Repeat("a", catalog.MaxEntry-1200)}}}
		l.version, l.state, l.remembered = &v, status.Published, true
	}
	// The first dozen have more files than a site may have, the last one is the default.
	for i := range 12 {
		c.listings.get(fmt.Sprintf("s%03d", i)).version.System.List.Files = catalog.MaxFiles
	}
	c.site.Defaults.System = fmt.Sprintf("s%03d", many-1)
	changed, err := c.publish(c.site)
	if err != nil || !changed {
		t.Fatalf("publish: %v, %v", changed, err)
	}

	var in []string
	for _, s := range c.published.Systems {
		in = append(in, s.Name)
	}
	if got := c.published.Defaults.System; got != c.site.Defaults.System || !slices.Contains(in, got) {
		t.Errorf("the default is %q, and these are in: %v", got, in)
	}
	for name, want := range map[string]bool{"one": true, "s000": true, "s008": true, "s010": false, "s011": false, "s012": true, "s298": false} {
		if slices.Contains(in, name) != want {
			t.Errorf("%s is in the catalog: %v, want %v", name, !want, want)
		}
	}
	if len(in) < 100 || len(in) >= many {
		t.Errorf("%d systems fit", len(in))
	}
	for _, s := range c.status().Systems {
		left := s.State == status.LeftOut && len(s.Problems) == 1 && strings.Contains(s.Problems[0], "there is no room for it")
		if left == slices.Contains(in, s.Name) {
			t.Errorf("%s is in the catalog: %v; its state is %+v", s.Name, !left, s)
		}
	}

	// Fewer systems: there is room again, and nothing is said any more.
	for i := range many - 1 {
		c.listings.remove(fmt.Sprintf("s%03d", i))
	}
	if changed, err := c.publish(c.site); err != nil || !changed || len(c.published.Systems) != 2 {
		t.Fatalf("publish: %v, %v, %d systems", changed, err, len(c.published.Systems))
	}
}

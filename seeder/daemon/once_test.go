package daemon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/next"
)

// A mirror remembers who has followed what was said for once, over a restart, until the catalog says it; and it remembers nobody else.
func TestOnce(t *testing.T) {
	const one, two, three = "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, onceFile)
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		open := func() (o *once, stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			o = openOnce(path, logger)
			go func() { o.run(ctx); close(ended) }()
			return o, func() { cancel(); <-ended }
		}
		cat := &catalog.Catalog{Rules: catalog.Rules{Next: []catalog.Next{
			{ID: "desks", Group: "desks", What: "local", Once: true, Done: catalog.MACs{two}}, {ID: "mine", MAC: one, What: "local", Once: true}, {ID: "always", Group: "all", What: "menu"},
		}}}
		o, stop := open()
		if got := o.catalog(cat); got != cat {
			t.Error("a catalog without followers becomes another one")
		}
		if err := os.Mkdir(path, 0o755); err != nil { // so that it can't be written at first
			t.Fatal(err)
		}
		for _, said := range [][2]string{{"desks", three}, {"desks", one}, {"desks", one}, {"desks", two}, {"desks", "nonsense"}, {"mine", two}, {"mine", one}, {"always", one}, {"gone", one}, {"", one}} {
			o.note(cat, said[0], said[1])
		}
		is := func(o *once) {
			t.Helper()
			got := o.catalog(cat)
			if o.count != 3 || !slices.Equal(got.Rules.Next[0].Done, []string{one, two, three}) || !slices.Equal(got.Rules.Next[1].Done, []string{one}) || got.Rules.Next[2].Done != nil {
				t.Errorf("%d are noted: %+v", o.count, got.Rules.Next)
			}
			if o.catalog(cat) != got {
				t.Error("the same is made anew")
			}
		}
		is(o)
		time.Sleep(2 * gatherTime)
		if err := os.Remove(path); err != nil || !strings.Contains(log.String(), "can't be written down") {
			t.Fatalf("%v, %s", err, log.String())
		}
		time.Sleep(endTime + gatherTime)
		if _, err := os.Stat(path); err != nil {
			t.Error("it is not tried again:", err)
		}
		stop()
		o, stop = open()
		is(o)
		later := &catalog.Catalog{Rules: catalog.Rules{Next: []catalog.Next{{ID: "desks", Group: "desks", What: "local", Once: true, Done: catalog.MACs{one, two}}}}}
		if got := o.catalog(later); !slices.Equal(got.Rules.Next[0].Done, []string{one, two, three}) || o.count != 1 {
			t.Errorf("with a later catalog %d are noted: %+v", o.count, got.Rules.Next)
		}
		if o.catalog(&catalog.Catalog{}); o.count != 0 {
			t.Errorf("%d are noted of what is no more", o.count)
		}
		stop()
		if _, err := os.Stat(path); err == nil {
			t.Error("a file of nobody is kept")
		}

		for i := range next.MaxDone + 10 {
			o.note(cat, "desks", fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255))
		}
		if o.count != next.MaxDone || len(o.done["desks"]) != next.MaxDone || strings.Count(log.String(), "no room for more") != 1 {
			t.Errorf("%d are noted", o.count)
		}
		for _, text := range []string{"{", `{"desks":["x"]}`} {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			log.Reset()
			if o := openOnce(path, logger); o.count != 0 || len(o.done) != 0 || !strings.Contains(log.String(), "may follow it again") {
				t.Errorf("%s is read as %v: %s", text, o.done, log.String())
			}
		}
	})
}

package daemon

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/watch"
)

// Files for machines are published as they are in their folder; one with a mistake leaves what machines get.
func TestFilesForMachines(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := start(t, s)
	all := filepath.Join(s.Dir, site.FilesDir, "all")
	write := func(name, content string) {
		t.Helper()
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(all, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(all, name), []byte(content), 0o600))
	}
	fetch := func(f catalog.Files) *machinefiles.Tree {
		t.Helper()
		tree, err := machinefiles.Verify(f, r.get(catalog.FilesPath(f.SHA256)))
		must(t, err)
		return tree
	}
	write("etc/issue.tmpl", "{{.MAC}}\n")
	first := r.await("files", func(c *catalog.Catalog) bool { return len(c.Files) == 1 }).Files[0]
	if tree := fetch(first); first.For != "all" || !tree.Has("etc/issue") || tree.Len() != 2 {
		t.Errorf("%+v has %d entries", first, tree.Len())
	}

	write("etc/.hidden", "x")
	second := r.await("other files", func(c *catalog.Catalog) bool { return len(c.Files) == 1 && c.Files[0] != first }).Files[0]
	if !fetch(second).Has("etc/.hidden") || !fetch(first).Has("etc/issue") {
		t.Error("files of this catalog, or of the one before, can't be had")
	}

	write("etc/issue.tmpl", "\n {{.Typo}}\n")
	r.awaitLog("the site has a problem", "files/all/etc/issue.tmpl:2:2: unknown placeholder {{.Typo}}")
	if c := r.catalog(); len(c.Files) != 1 || c.Files[0] != second {
		t.Errorf("with a mistake there are %+v", c.Files)
	}
	fetch(second)
	kept := filepath.Join(s.Dir, site.StateDir, "files/all")
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("for the next start there is %v, %v", info, err)
	}

	must(t, os.RemoveAll(filepath.Join(s.Dir, site.FilesDir)))
	r.await("no files", func(c *catalog.Catalog) bool { return len(c.Files) == 0 })
	if _, err := os.Stat(kept); !os.IsNotExist(err) {
		t.Errorf("what is gone is kept: %v", err)
	}
	resp, err := http.Get(r.base + catalog.FilesPath(first.SHA256))
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("files of long ago: %s", resp.Status)
	}
}

func TestFilesForMachinesOverARestart(t *testing.T) {
	state := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	archive := func(content string) []byte {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "x"), []byte(content), 0o644))
		tree, problems := machinefiles.Read(dir, machinefiles.Owner{})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		b, err := tree.Encode()
		must(t, err)
		return b
	}
	one, two := archive("one"), archive("two")
	before := newMachineFiles(state, log)
	before.consider(&site.Site{Files: []site.MachineFiles{{For: "all", Archive: one}, {For: "teachers", Archive: one}, {For: "gone", Archive: one}}}, nil)
	must(t, os.WriteFile(filepath.Join(state, "files/damaged"), []byte("x"), 0o600))
	must(t, os.WriteFile(filepath.Join(state, "files/.all123"), one, 0o600))

	m := newMachineFiles(state, log)
	m.recall()
	broken := site.Broken{Name: "teachers", Problems: site.Problems{{File: "files/teachers/x"}}}
	writing := map[string]time.Time{watch.FilesOf("all"): {}, watch.FilesOf("new"): {}}
	problems := m.consider(&site.Site{Files: []site.MachineFiles{{For: "all", Archive: two}, {For: "new", Archive: two}}, BrokenFiles: []site.Broken{broken}}, writing)
	if len(problems) != 1 || problems[0].File != "files/teachers/x" {
		t.Errorf("problems %v", problems)
	}
	want := []catalog.Files{machinefiles.Listed("all", one), machinefiles.Listed("teachers", one)}
	if got := m.listed(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] || len(m.archives()) != 1 {
		t.Errorf("listed: %+v, want %+v", got, want)
	}
	m.consider(&site.Site{FilesUnknown: true}, nil)
	if got := m.listed(); len(got) != 2 {
		t.Errorf("while nothing can be read: %+v", got)
	}
	m.consider(&site.Site{Files: []site.MachineFiles{{For: "all", Archive: two}}}, nil)
	if got := m.listed(); len(got) != 1 || got[0] != machinefiles.Listed("all", two) {
		t.Errorf("at rest again: %+v", got)
	}

	// What folders had before may be too much with what others have.
	for _, name := range strings.Fields("a b c d e f g h i") {
		m.last[name] = make([]byte, catalog.MaxFileTree)
	}
	if got := m.listed(); len(got) != 8 {
		t.Errorf("%d are listed", len(got))
	}
}

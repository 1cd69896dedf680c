package site

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// FuzzYAML reads any bytes as boottorrent.yaml and as config.yaml. Whatever they are, each problem has its place in the
// file, and says what is wrong and what to do.
func FuzzYAML(f *testing.F) {
	for _, name := range []string{"good", "original", "original-other", "original-wrong", "methods", "methods-wrong", "config-types", "config-values", "dhcp-values", "system-keys", "system-files", "yaml-syntax", "groups", "groups-wrong", "groups-names", "from", "from-wrong"} {
		a, err := txtar.ParseFile("testdata/" + name + ".txtar")
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			f.Add(file.Data)
		}
	}
	root, err := os.OpenRoot(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { root.Close() })
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &checker{}
		if m := parseDocument(c, "boottorrent.yaml", body); m != nil {
			s := &Site{Name: "site"}
			if readConfig(m, s); len(c.problems) == 0 {
				checkRules(t, s)
			}
		}
		if m := parseDocument(c, OriginalFile, body); m != nil {
			readOriginal(m, &Site{Name: "site"}) // see FuzzOriginal for more
		}
		if m := parseDocument(c, "config.yaml", body); m != nil {
			system := &folder{&Files{folder: root, from: map[string]string{}}, "fuzz", "oss/fuzz", map[string]bool{}}
			if from := readFrom(m, system); !from.unknown {
				readSystemConfig(m, system)
			}
		}
		for _, p := range append(c.problems, c.warnings...) {
			if p.File == "" || p.Line < 1 || p.Col < 1 || p.What == "" || p.Do == "" {
				t.Errorf("incomplete problem: %#v", p)
			}
		}
	})
}

// checkRules reports rules that passed here and that nodes would not take, but for names that lead to no system: the publisher takes those out.
func checkRules(t *testing.T, s *Site) {
	cat := catalog.Catalog{Version: catalog.Version, Rules: s.Rules()}
	for i := range cat.Rules.Groups {
		g := &cat.Rules.Groups[i]
		g.Default, g.Systems, g.Next = nil, nil, ""
	}
	if _, err := cat.Encode(); err != nil {
		t.Errorf("nodes would not take it: %v", err)
	}
}

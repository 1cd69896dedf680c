package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
)

// The table stands between these lines of a document.
const (
	mark = "<!-- go run ./integration/bench sim --docs docs/simulation.md -->\n"
	end  = "<!-- end of the table of sites -->\n"
)

// sites are the scenarios whose results are in the table: sites of many networks.
const sites = "site-*.json"

// Table is a table in Markdown of the results of sites in a folder.
func Table(dir string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, sites))
	if err != nil {
		return "", err
	}
	slices.Sort(paths)
	var t strings.Builder
	t.WriteString("| nodes, networks | seeder, uplinks, nodes: Mbit/s | MiB | mirrors | last node s | T_min s | seeder's copies | copies into and out of a network, most | " +
		"a mirror's copies, most | last mirror s | announces a second, most: at the seeder, at a mirror | refused by seeders |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		var all []Result
		if err := json.Unmarshal(text, &all); err != nil {
			return "", fmt.Errorf("%s is not a result of bench sim: %w", path, err)
		}
		for _, r := range all {
			t.WriteString(r.row())
		}
	}
	return t.String(), nil
}

// ruleName is a rule in the table.
var ruleName = map[Rule]string{AsPeer: "as peers", AsSeeder: "any", AsOffered: "offered"}

func (r Result) row() string {
	mirrors, copies, last, at := "none", "–", "–", "–"
	if r.Mirrors {
		mirrors, copies, at = "fetch while they give ("+ruleName[r.Rule]+")", fmt.Sprintf("%.1f", r.MirrorCopies), fmt.Sprint(r.MirrorAnnounces)
		if last = fmt.Sprintf("%.1f", r.TMirror); r.Kept {
			mirrors, last = "have it", "–"
		}
	}
	return fmt.Sprintf("| %d, %d | %g, %g, %g | %d | %s | %.1f | %.1f | %.1f | %.1f, %.1f | %s | %s | %d, %s | %d |\n", r.Nodes, r.Racks, float64(r.Seeder)/1e6, float64(r.Uplink)/1e6,
		float64(r.Link)/1e6, r.Size>>20, mirrors, r.TLast, r.TMin, r.SeederCopies, r.UplinkIn, r.UplinkOut, copies, last, r.AnnouncesPeak, at, r.SeederRefused)
}

// write puts the table of a folder's results into a document.
func write(dir, document string) error {
	table, err := Table(dir)
	if err != nil {
		return err
	}
	return kept.Into(document, mark, table, end)
}

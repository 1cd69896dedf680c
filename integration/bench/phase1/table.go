package phase1

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
)

// kind is what results are kept as.
const kind = "phase1"

// mark is the line of a document below which the table stands, and end the one after it.
const (
	mark = "<!-- go run ./integration/bench phase1 --docs docs/phase1.md -->\n"
	end  = "<!-- end of the table -->"
)

// Table is a table in Markdown of the reports in a folder: of those with the same room the newest.
func Table(dir string) (string, error) {
	results, err := kept.Read[Result](dir, kind)
	if err != nil {
		return "", err
	}
	type room struct {
		machines           int
		helpers            string
		seeder, link, boot float64
	}
	newest := map[room]Result{}
	for _, r := range results {
		newest[room{r.Machines, r.Helpers, r.SeederMbit, r.LinkMbit, r.BootSeconds}] = r
	}
	var all []Result
	for _, r := range newest {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Result) int {
		return cmp.Or(cmp.Compare(a.SeederMbit, b.SeederMbit), cmp.Compare(a.LinkMbit, b.LinkMbit), cmp.Compare(a.BootSeconds, b.BootSeconds), cmp.Compare(a.Machines, b.Machines), cmp.Compare(a.Helpers, b.Helpers))
	})
	var t strings.Builder
	t.WriteString("| machines | helpers | seeder, machines (Mbit/s) | boot, s | last machine, s | N·F/S, s | share of it | fluid bound, s | copies from the seeder, by HTTP |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		fmt.Fprintf(&t, "| %d | %s | %g, %g | %g | %.1f | %.1f | %.2f | %.1f | %.1f |\n", r.Machines, r.Helpers, r.SeederMbit, r.LinkMbit, r.BootSeconds, r.Last, r.Alone(),
			r.Last/r.Alone(), r.Bound(), float64(r.FromSeeder)/float64(r.Bytes))
	}
	return t.String(), nil
}

// write puts the table of a folder's reports into a document.
func write(dir, document string) error {
	table, err := Table(dir)
	if err != nil {
		return err
	}
	return kept.Into(document, mark, table, end)
}

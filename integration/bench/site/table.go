package site

import (
	"fmt"
	"io"
	"strings"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
)

// The table stands between these lines of a document.
const (
	mark = "<!-- go run ./integration/bench site --docs docs/simulation.md -->\n"
	end  = "<!-- end of the table -->\n"
)

// Table is a table in Markdown of the results in a folder: of those with the same load the newest.
func Table(dir string) (string, error) {
	results, err := kept.Read[Result](dir, kind)
	if err != nil {
		return "", err
	}
	var keys []string
	rows := map[string]string{}
	set := func(key, row string) {
		if _, known := rows[key]; !known {
			keys = append(keys, key)
		}
		rows[key] = row
	}
	var t strings.Builder
	t.WriteString("| announces | peers known | a second | CPU each, µs | median, most ms | tracker's program MiB | other programs' CPU, % |\n|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		for _, a := range r.Announces {
			how := "a new connection each"
			if a.Kept {
				how = "on kept connections"
			}
			set(fmt.Sprint(how, r.Nodes), fmt.Sprintf("| %s | %d | %.0f | %.0f | %.1f, %.0f | %.0f | %.0f |\n", how, a.Known, a.PerSecond, a.CPU, a.Median, a.Most, a.Resident, r.Busy))
		}
	}
	for _, k := range keys {
		t.WriteString(rows[k])
	}
	keys = nil
	t.WriteString("\n| nodes report to | nodes, every s | reports, logs a second | refused | report, page, list: median ms | most ms | seeder: CPU %, MiB | mirror: CPU %, MiB | other programs' CPU, % |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		for _, p := range r.Reports {
			mirror := "–"
			if p.To == "mirror" {
				mirror = fmt.Sprintf("%.0f, %.0f", p.Mirror.CPU, p.Mirror.Resident)
			}
			set(fmt.Sprint(p.To, r.Nodes, p.Every), fmt.Sprintf("| the %s | %d, %g | %.0f, %.0f | %d | %.1f, %.0f, %.0f | %.0f, %.0f, %.0f | %.0f, %.0f | %s | %.0f |\n", p.To, p.Listed, p.Every,
				p.PerSecond, p.LogsPerSecond, p.Refused, p.Report.Median, p.Page.Median, p.List.Median, p.Report.Most, p.Page.Most, p.List.Most,
				p.Seeder.CPU, p.Seeder.Resident, mirror, r.Busy))
		}
	}
	for _, k := range keys {
		t.WriteString(rows[k])
	}
	return t.String(), nil
}

// write puts the table of a folder's results into a document.
func write(dir, document string) error {
	table, err := Table(dir)
	if err != nil {
		return err
	}
	return kept.Into(document, mark, table, end)
}

// printResult says what was measured.
func printResult(out io.Writer, r Result) error {
	for _, a := range r.Announces {
		fmt.Fprintf(out, "%+v\n", a)
	}
	for _, p := range r.Reports {
		fmt.Fprintf(out, "%+v\n", p)
	}
	_, err := fmt.Fprintf(out, "other programs took %.0f %% of a processor\n", r.Busy)
	return err
}

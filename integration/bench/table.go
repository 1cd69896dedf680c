package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// line is a result as it is shown when it is there.
func (r result) line() string {
	text := fmt.Sprintf("%-11s %s, run %d: last %.1f s", r.label(), r.scenario, r.Run, r.TLast)
	if r.TMin > 0 {
		text += fmt.Sprintf(", %.2f × the bound", r.Ratio)
	}
	text += fmt.Sprintf(", %.2f copies, %.1f CPU s (seeder %.1f), %.1f/GB, idle %.0f %%", r.SeederCopies, r.CPUSeconds, r.CPUSeederSeconds, r.perGB(r.CPUSeconds), r.CPUIdle*100)
	if r.MachineLimited {
		text += ", THE MACHINE WAS THE LIMIT"
	}
	return text
}

// printJSON prints the results as one array.
func printJSON(w io.Writer, results []result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(results)
}

// row is the medians over the runs of one engine in one scenario.
type row struct {
	result
	runs int
	// best and worst are the ratios of the runs; with unlimited links their times in seconds.
	best, worst float64
	// limited is the number of runs in which the machine was the limit.
	limited int
}

// group is the rows of one scenario.
type group struct {
	scenario scenario
	rows     []row
}

// summarize makes rows of results, in the order in which scenarios and engines first appear.
func summarize(results []result) []group {
	var groups []group
	for _, r := range results {
		i := slices.IndexFunc(groups, func(g group) bool { return g.scenario == r.scenario })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{scenario: r.scenario})
		}
		g := &groups[i]
		if slices.ContainsFunc(g.rows, func(row row) bool { return row.label() == r.label() }) {
			continue
		}
		var runs []result
		for _, other := range results {
			if other.scenario == r.scenario && other.label() == r.label() {
				runs = append(runs, other)
			}
		}
		g.rows = append(g.rows, newRow(runs))
	}
	return groups
}

// newRow is the median of each figure by itself.
func newRow(runs []result) row {
	of := func(value func(result) float64) float64 { return median(runs, value) }
	w := row{result: runs[0], runs: len(runs)}
	w.TFirst, w.TMedian, w.TLast = of(func(r result) float64 { return r.TFirst }), of(func(r result) float64 { return r.TMedian }), of(last)
	w.Ratio, w.SeederCopies = of(ratio), of(func(r result) float64 { return r.SeederCopies })
	w.CPUSeconds, w.CPUSeederSeconds = of(cpu), of(func(r result) float64 { return r.CPUSeederSeconds })
	w.CPUSeederKernel, w.CPUNodesKernel = of(func(r result) float64 { return r.CPUSeederKernel }), of(func(r result) float64 { return r.CPUNodesKernel })
	w.CPUMachine, w.CPUSoftirq = of(func(r result) float64 { return r.CPUMachine }), of(func(r result) float64 { return r.CPUSoftirq })
	w.RSSPeakMiB, w.CPUIdle = of(func(r result) float64 { return r.RSSPeakMiB }), of(func(r result) float64 { return r.CPUIdle })
	by := ratio
	if w.TMin == 0 {
		by = last
	}
	w.best, w.worst = by(runs[0]), by(runs[0])
	for _, r := range runs {
		w.best, w.worst = min(w.best, by(r)), max(w.worst, by(r))
		if r.MachineLimited {
			w.limited++
		}
	}
	return w
}

func ratio(r result) float64 { return r.Ratio }
func last(r result) float64  { return r.TLast }
func cpu(r result) float64   { return r.CPUSeconds }

// heads are the columns of a table; cells fills them.
var heads = []string{"engine", "runs", "first s", "median s", "last s", "T_min s", "ratio", "best–worst", "copies", "CPU s", "s/GB", "nodes", "seeder", "softirq", "MiB", "idle"}

func (w row) cells() []string {
	f := func(digits int, v float64) string { return fmt.Sprintf("%.*f", digits, v) }
	bound, ratio := "–", "–"
	if w.TMin > 0 {
		bound, ratio = f(1, w.TMin), f(2, w.Ratio)
	}
	softirq := "–"
	if w.CPUMachine > 0 {
		softirq = f(1, w.perGB(w.CPUSoftirq))
	}
	idle := f(0, w.CPUIdle*100) + " %"
	if w.limited > 0 {
		idle += " (!)"
	}
	return []string{
		w.label(), fmt.Sprint(w.runs), f(1, w.TFirst), f(1, w.TMedian), f(1, w.TLast), bound, ratio, f(2, w.best) + "–" + f(2, w.worst),
		f(2, w.SeederCopies), f(1, w.CPUSeconds), f(1, w.perGB(w.CPUSeconds)),
		w.split(w.CPUSeconds-w.CPUSeederSeconds, w.CPUNodesKernel), w.split(w.CPUSeederSeconds, w.CPUSeederKernel),
		softirq, f(0, w.RSSPeakMiB), idle,
	}
}

// split writes processor time as user + kernel, both for each GB. Results that were kept before there was a difference have no kernel's.
func (w row) split(all, kernel float64) string {
	if kernel == 0 {
		return fmt.Sprintf("%.1f", w.perGB(all))
	}
	return fmt.Sprintf("%.1f+%.1f", w.perGB(all-kernel), w.perGB(kernel))
}

// perGB is processor time for each 10⁹ bytes that nodes received.
func (s scenario) perGB(seconds float64) float64 {
	return seconds / (float64(s.Image) * float64(s.Nodes) / 1e9)
}

// label is what the rows of an engine are called.
func (r result) label() string {
	if r.Build == "" && slices.ContainsFunc(engines(), func(e engine) bool { _, ok := e.(own); return ok && e.name() == r.Engine }) {
		return r.Engine + oldBuild
	}
	return build{Name: r.Build}.label(r.Engine)
}

// oldBuild marks peers of this project that were compiled as the benchmark itself was, and collected garbage half as often as nodes do.
const oldBuild = ", old build"

// limitNote explains the mark at "idle".
const limitNote = "(!) the machine itself was the limit in some runs: less than 10 % of its processors idle, or more than 5 % stolen"

// printTable prints the medians of a report.
func printTable(w io.Writer, rep report) error {
	limited := false
	if _, err := fmt.Fprintln(w, rep.Machine); err != nil {
		return err
	}
	for _, g := range summarize(rep.Results) {
		fmt.Fprintf(w, "\n%s (medians)\n", g.scenario)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, strings.Join(heads, "\t")+"\t")
		for _, row := range g.rows {
			fmt.Fprintln(t, strings.Join(row.cells(), "\t")+"\t")
			limited = limited || row.limited > 0
		}
		if err := t.Flush(); err != nil {
			return err
		}
		for _, c := range compare(g.scenario, rep.Results) {
			fmt.Fprintln(w, c)
		}
	}
	if limited {
		fmt.Fprintln(w, "\n"+limitNote)
	}
	return nil
}

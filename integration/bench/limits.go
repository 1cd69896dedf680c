package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// limit is a figure that a change must not make worse, and where it should go.
type limit struct {
	what string
	// most is the limit, moonshot what would be as good as it gets; both in the figure's own unit.
	most, moonshot string
	// bound is most as a number.
	bound float64
	// measured is the figure, and what to add to it; ok is false if nothing was measured for it.
	measured func(reports []report) (value float64, more string, ok bool)
}

// limits are those of the project, in this engine's own build.
var limits = []limit{
	{"fast, N=6: CPU against aria2's", "≤ 1.0", "0.7", 1.0, against("fast", 6, 0, "aria2", func(c comparison) float64 { return c.cpu })},
	{"fast, N=6: copies from the seeder", "≤ 1.5", "1.15", 1.5, own1("fast", 6, 0, func(r row) float64 { return r.SeederCopies })},
	{"fast, N=16: copies from the seeder", "≤ 1.5", "1.15", 1.5, own1("fast", 16, 0, func(r row) float64 { return r.SeederCopies })},
	{"unshaped, N=1: CPU against libtorrent's", "≤ 0.6", "HTTP + hashing", 0.6, against("unshaped", 1, 0, "libtorrent", func(c comparison) float64 { return c.cpu })},
	{"unshaped, N=1: time against libtorrent's", "≤ 0.6", "HTTP + hashing", 0.6, against("unshaped", 1, 0, "libtorrent", func(c comparison) float64 { return c.time })},
	{"equal, 14 Mbit/s, N=8: ratio", "≤ 1.06", "1.04", 1.06, own1("equal", 8, 14e6, func(r row) float64 { return r.Ratio })},
	{"equal, 12 Mbit/s, N=16: ratio", "≤ 1.09", "1.04", 1.09, own1("equal", 16, 12e6, func(r row) float64 { return r.Ratio })},
	{"equal, 4 Mbit/s: time of N=48 against N=4", "≤ 1.10", "1.05", 1.10, growth},
	{"equal, 14 Mbit/s, N=8: CPU against aria2's", "≤ 1.0", "", 1.0, against("equal", 8, 14e6, "aria2", func(c comparison) float64 { return c.cpu })},
	{"equal, 4 Mbit/s, N=48: memory of a node, MiB", "≤ 48", "", 48, own1("equal", 48, 4e6, func(r row) float64 { return r.RSSPeakMiB })},
}

const limitsHead = `
## Limits

What the project wants to reach, and what was measured last; medians over the runs. Figures "against" another engine are the median of the ratios within
one run, which a busy machine disturbs least.

`

// writeLimits writes the table of limits, if anything was measured for it.
func writeLimits(b *bytes.Buffer, reports []report, r rest) {
	var table bytes.Buffer
	writeRow(&table, []string{"", "limit", "moonshot", "measured", "met"})
	writeRow(&table, slices.Repeat([]string{"---"}, 5))
	some := false
	of := slices.Concat(limits, r.limits())
	for _, l := range of {
		value, more, ok := l.measured(reports)
		some = some || ok
		writeRow(&table, l.cells(value, more, ok))
	}
	if some {
		b.WriteString(limitsHead)
		b.Write(table.Bytes())
	}
}

// limits are those that are not of the swarm's runs (bench rest).
func (r rest) limits() []limit {
	return []limit{
		{"a peer of 20 kB/s costs four others, %", "≤ 3", "", 3, func([]report) (float64, string, bool) {
			return 100 * r.slowPeer(), fmt.Sprintf(" (%d runs of BenchmarkOddPeer)", len(r.Alone)), len(r.Alone) > 0
		}},
		{"phase 1 (amd64), MiB", "≤ 16", "14", 16, func([]report) (float64, string, bool) {
			return float64(r.Phase1) / (1 << 20), fmt.Sprintf(" (%d bytes)", r.Phase1), r.Phase1 > 0
		}},
	}
}

// cells compares what the table shows, two digits after the point.
func (l limit) cells(value float64, more string, ok bool) []string {
	if !ok {
		return []string{l.what, l.most, l.moonshot, "not yet", ""}
	}
	met := "no"
	if float64(int(value*100+0.5))/100 <= l.bound {
		met = "yes"
	}
	return []string{l.what, l.most, l.moonshot, fmt.Sprintf("%.2f%s", value, more), met}
}

// is whether a scenario is one that a limit is for. A link of 0 is any.
func (s scenario) is(name string, nodes int, link float64) bool {
	return s.Name == name && s.Nodes == nodes && (link == 0 || s.Link == link)
}

// own1 is a figure of this project's engine, in the newest report that has the scenario.
func own1(name string, nodes int, link float64, value func(row) float64) func([]report) (float64, string, bool) {
	return func(reports []report) (float64, string, bool) {
		r, ok := newestOwn(reports, name, nodes, link)
		return value(r), "", ok
	}
}

func newestOwn(reports []report, name string, nodes int, link float64) (row, bool) {
	for _, rep := range slices.Backward(reports) {
		for _, g := range summarize(rep.Results) {
			for _, r := range g.rows {
				if g.scenario.is(name, nodes, link) && r.label() == ours {
					return r, true
				}
			}
		}
	}
	return row{}, false
}

// against is a ratio to another engine, in the newest report that has both. Beside it stands what both cost.
func against(name string, nodes int, link float64, other string, value func(comparison) float64) func([]report) (float64, string, bool) {
	return func(reports []report) (float64, string, bool) {
		for _, rep := range slices.Backward(reports) {
			for _, g := range summarize(rep.Results) {
				if !g.scenario.is(name, nodes, link) {
					continue
				}
				for _, c := range compare(g.scenario, rep.Results) {
					if c.of == ours && c.against == other {
						return value(c), g.beside(other), true
					}
				}
			}
		}
		return 0, "", false
	}
}

// beside says what a ratio is made of.
func (g group) beside(other string) string {
	cost := func(label string) float64 {
		i := slices.IndexFunc(g.rows, func(r row) bool { return r.label() == label })
		return g.rows[i].perGB(g.rows[i].CPUSeconds)
	}
	return fmt.Sprintf(" (CPU %.1f and %.1f s/GB)", cost(ours), cost(other))
}

// growth is what twelve times as many nodes cost.
func growth(reports []report) (float64, string, bool) {
	many, ok := newestOwn(reports, "equal", 48, 4e6)
	few, okFew := newestOwn(reports, "equal", 4, 4e6)
	return many.TLast / cmp.Or(few.TLast, 1), fmt.Sprintf(" (%.1f and %.1f s)", many.TLast, few.TLast), ok && okFew
}

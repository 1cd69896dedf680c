package main

import (
	"cmp"
	"fmt"
	"slices"
)

// comparison is one row against another of the same report: the medians of what one run came to over what the other's run of the same
// number did. Such a ratio bears a noisy machine better than the ratio of two medians.
type comparison struct {
	of, against              string
	cpu, nodes, time, copies float64
	// least and most are the extremes of cpu.
	least, most float64
	runs        int
}

// String is for the end of a table.
func (c comparison) String() string {
	return fmt.Sprintf("%s / %s, within each of %d runs: CPU %.2f (%.2f–%.2f), nodes' CPU %.2f, time %.2f, copies %.2f",
		c.of, c.against, c.runs, c.cpu, c.least, c.most, c.nodes, c.time, c.copies)
}

// compare compares this project's rows in a scenario with every other's, other builds of its own included. The results are one report's.
func compare(s scenario, results []result) (all []comparison) {
	byLabel, labels := map[string]map[int]result{}, []string{}
	for _, r := range results {
		if r.scenario != s {
			continue
		}
		if byLabel[r.label()] == nil {
			byLabel[r.label()] = map[int]result{}
			labels = append(labels, r.label())
		}
		byLabel[r.label()][r.Run] = r
	}
	for i, of := range labels {
		for j, against := range labels {
			a, b := byLabel[of], byLabel[against]
			if i != j && isOwn(a) && (!isOwn(b) || i < j) {
				if c, ok := newComparison(a, b); ok {
					c.of, c.against = of, against
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// isOwn is whether results are this project's.
func isOwn(runs map[int]result) bool {
	for _, r := range runs {
		return r.isOwn()
	}
	return false
}

func newComparison(of, against map[int]result) (c comparison, ok bool) {
	var pairs [][2]result
	for run, r := range of {
		if other, ok := against[run]; ok {
			pairs = append(pairs, [2]result{r, other})
		}
	}
	if len(pairs) == 0 {
		return c, false
	}
	ratio := func(value func(result) float64) func([2]result) float64 {
		return func(p [2]result) float64 { return value(p[0]) / value(p[1]) }
	}
	ofNodes := func(r result) float64 { return r.CPUSeconds - r.CPUSeederSeconds }
	c = comparison{
		cpu: median(pairs, ratio(cpu)), nodes: median(pairs, ratio(ofNodes)), time: median(pairs, ratio(last)),
		copies: median(pairs, ratio(func(r result) float64 { return r.SeederCopies })), runs: len(pairs),
	}
	byCPU := func(a, b [2]result) int { return cmp.Compare(ratio(cpu)(a), ratio(cpu)(b)) }
	c.least, c.most = ratio(cpu)(slices.MinFunc(pairs, byCPU)), ratio(cpu)(slices.MaxFunc(pairs, byCPU))
	return c, true
}

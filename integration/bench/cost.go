package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

const costHead = `
## What a node costs

Processor time for each 10⁹ bytes that nodes received, user + kernel: of all nodes together, and of the seeder, which is part of a room once.
boottorrent's nodes are compiled and run as in phase 1 (mkimage's flags, init's environment), its seeder as ` + "`make build`" + ` compiles it; "inlined"
are nodes compiled as the seeder is. The kernel's part has the work at both ends of a cable in it, as sending and receiving happen within one
machine here.

`

var costHeads = []string{"scenario", "engine", "nodes s/GB", "seeder s/GB", "all s/GB", "MiB", "last s", "copies"}

// isOwn is whether a row is of this project's engine in a build that is known.
func (r result) isOwn() bool { return r.Engine == ours && r.Build != "" }

// ours is the name of this project's engine.
const ours = "boottorrent"

// writeCost writes the table of costs: each scenario in which this project's engine was measured as nodes run it, with its mark.
func writeCost(b *bytes.Buffer, groups []group, mark func(scenario) string) {
	groups = slices.DeleteFunc(slices.Clone(groups), func(g group) bool {
		return !slices.ContainsFunc(g.rows, func(r row) bool { return r.isOwn() })
	})
	if len(groups) == 0 {
		return
	}
	b.WriteString(costHead)
	writeRow(b, costHeads)
	writeRow(b, slices.Repeat([]string{"---"}, len(costHeads)))
	for _, g := range costOrder(groups) {
		name := g.scenario.short() + mark(g.scenario)
		for _, r := range g.rows {
			writeRow(b, []string{
				name, r.label(), r.split(r.CPUSeconds-r.CPUSeederSeconds, r.CPUNodesKernel), r.split(r.CPUSeederSeconds, r.CPUSeederKernel),
				fmt.Sprintf("%.1f", r.perGB(r.CPUSeconds)), fmt.Sprintf("%.0f", r.RSSPeakMiB), fmt.Sprintf("%.1f", r.TLast), fmt.Sprintf("%.2f", r.SeederCopies),
			})
			name = ""
		}
	}
}

// costOrder puts first where processors are the limit.
func costOrder(groups []group) []group {
	slices.SortStableFunc(groups, func(a, b group) int {
		return boolRank(presetOf(a.scenario.Name).processors) - boolRank(presetOf(b.scenario.Name).processors)
	})
	return groups
}

func boolRank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// short names a scenario in a table.
func (s scenario) short() string {
	if s.Link == 0 || s.Name == "fast" {
		return fmt.Sprintf("%s, N=%d", s.Name, s.Nodes)
	}
	return fmt.Sprintf("%s, N=%d, %s/%s Mbit/s", s.Name, s.Nodes, trim(s.Server/1e6), trim(s.Link/1e6))
}

// presetOf is the preset of a name, or an empty one.
func presetOf(name string) preset {
	if i := slices.IndexFunc(presets, func(p preset) bool { return p.name == name }); i >= 0 {
		return presets[i]
	}
	return preset{name: name, says: name}
}

// withoutOld leaves out what the tables must not mix: this project's rows of builds that nobody knows where there are others of the same
// scenario, and rows of another machine than the newest of this project's.
func withoutOld(results []machineResult) []result {
	newestOwn := map[scenario]machineResult{}
	for _, r := range results {
		if last, ok := newestOwn[r.scenario]; r.isOwn() && (!ok || r.at.After(last.at)) {
			newestOwn[r.scenario] = r
		}
	}
	var kept []result
	for _, r := range results {
		own, ok := newestOwn[r.scenario]
		old := strings.HasSuffix(r.label(), oldBuild)
		if !ok || r.machine == own.machine && !old {
			kept = append(kept, r.result)
		}
	}
	return kept
}

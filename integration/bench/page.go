package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

const pageHead = `# How long a room needs

Made by ` + "`go run ./integration/bench plot`" + ` from the data in integration/bench/results; don't edit it. To measure all of it anew: ` + "`make tables`" + `; once, without keeping it: ` + "`make bench`" + `.

A star of network namespaces in one machine: a seeder and N nodes, each with a cable of its own to one switch, shaped in both
directions. All nodes begin at once (or spread over the time given) and know only the tracker, HTTP clients the server. The image is
random bytes; every copy was verified by its SHA-256. Figures are medians over the runs. At the switch 256 KiB wait for a cable before
packets are dropped, as in a small switch, at a host 1000 packets, as in Linux; MTU 4000, TCP with cubic. All engines use the same torrent.

- **T_min** = max(F/S, F/d, N·F/(S+N·u)) is the least time possible if data were a fluid: F is the image's size, S the seeder's link, d and u
  a node's. **Ratio** is the time of the last node over it. With arrivals spread, each node's time counts from its own start, and its
  bound is that of a node alone, max(F/S, F/d).
- **Copies** is the bytes that left the seeder's card, headers included, over the image's size.
- **CPU s** is of all programs together, **s/GB** the same for each 10⁹ bytes that nodes received; **nodes** and **seeder** are their parts of
  that, user + kernel. **softirq** is what the kernel did with packets outside of system calls; most of it is in the programs' kernel time, too.
- **MiB** is the most memory a node had resident, what it maps of the image included.
- boottorrent is done when it has verified every piece by its SHA-256 (of the old build: every piece by SHA-1, and then the files by SHA-256); the others
  when they have every piece (SHA-1), HTTP when it has every byte. What was not measured has a –.
- "old build" marks rows of boottorrent and of its library whose nodes were compiled as the benchmark itself, which no node is; they stand where
  nothing newer was measured. Rows of different machines don't stand in one table where there are new ones.
`

// writePage writes the documentation's page; other has the limits' figures that are not of the swarm's runs, more stands at its end.
func writePage(path string, reports []report, groups []group, other rest, more string) error {
	var b bytes.Buffer
	b.WriteString(pageHead)
	var machines []string
	for _, r := range reports {
		if m := r.Machine.String(); !slices.Contains(machines, m) {
			machines = append(machines, m)
		}
	}
	last := reports[len(reports)-1]
	fmt.Fprintf(&b, "\nMeasured on: %s; last on %s.\n", strings.Join(machines, "; "), last.Time.UTC().Format("2006-01-02"))
	if len(machines) > 1 {
		fmt.Fprintf(&b, "† marks what was measured on %s: compare it with other rows so marked.\n", last.Machine)
	}
	mark := func(s scenario) string {
		if len(machines) > 1 && machineOf(reports, s) == last.Machine {
			return " †"
		}
		return ""
	}
	writeCost(&b, groups, mark)
	writeLimits(&b, reports, other)
	name, limited := "", false
	for _, g := range groups {
		if g.scenario.Name != name {
			name = g.scenario.Name
			fmt.Fprintf(&b, "\n## %s: %s\n\n![%s](%s)\n", name, title(name), title(name), picture(name))
		}
		fmt.Fprintf(&b, "\n%s%s:\n\n", g.scenario, mark(g.scenario))
		writeRow(&b, heads)
		writeRow(&b, slices.Repeat([]string{"---"}, len(heads)))
		for _, row := range g.rows {
			writeRow(&b, row.cells())
			limited = limited || row.limited > 0
		}
	}
	if limited {
		b.WriteString("\n" + limitNote + ".\n")
	}
	b.WriteString(more)
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// machineOf is the machine that a scenario was measured on last.
func machineOf(reports []report, s scenario) machine {
	for _, r := range slices.Backward(reports) {
		if slices.ContainsFunc(r.Results, func(r result) bool { return r.scenario == s }) {
			return r.Machine
		}
	}
	return machine{}
}

func writeRow(b *bytes.Buffer, cells []string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// result is one soak.
type result struct {
	Date  string  `json:"date"`
	Nodes int     `json:"nodes"`
	Time  float64 `json:"time"`
	// Rest and RestAgain are the seeder before the first node and after the last.
	Rest      sample   `json:"rest"`
	RestAgain sample   `json:"rest_again"`
	Samples   []sample `json:"samples"`
	// Unheard is how many reports and batches of log lines the seeder did not take.
	Unheard int `json:"unheard"`
	// Faults is what is wrong; empty: nothing.
	Faults []string `json:"faults"`
}

// Tolerances: what may be more at the end than after the first fifth, when the room is as busy.
const (
	// more is by which part everything may be, as it goes up and down.
	more = 1.25
	// perNode is what the fleet remembers of a node in memory and by its log on the disk, in bytes; a log counts in blocks.
	perNodeMemory, perNodeDisk = 4 << 10, 36 << 10
	// perVersion is what a version of the system that changes takes until it retires, ten minutes after it was replaced.
	perVersionDisk, perVersionCount = systemSize + 512<<10, 12
	// The rest is for what goes up and down by itself.
	someMemory, someCount, someDisk = 32 << 20, 200, 4 << 20
)

// busy are the means of the samples in a part of the time, from and to being parts of the whole.
func (r *result) busy(from, to float64) (m sample) {
	n := 0
	for _, s := range r.Samples {
		if s.Seconds < from*r.Time || s.Seconds > to*r.Time {
			continue
		}
		n++
		m.Seconds, m.Booting, m.Booted, m.Versions = m.Seconds+s.Seconds, m.Booting+s.Booting, m.Booted+s.Booted, m.Versions+s.Versions
		m.RSS, m.Heap, m.Goroutines, m.Descriptors = m.RSS+s.RSS, m.Heap+s.Heap, m.Goroutines+s.Goroutines, m.Descriptors+s.Descriptors
		m.Store, m.Logs, m.Other = m.Store+s.Store, m.Logs+s.Logs, m.Other+s.Other
	}
	if n > 0 {
		k := int64(n)
		m.Seconds, m.Booting, m.Booted, m.Versions = m.Seconds/float64(n), m.Booting/n, m.Booted/n, m.Versions/n
		m.RSS, m.Heap, m.Goroutines, m.Descriptors = m.RSS/k, m.Heap/k, m.Goroutines/n, m.Descriptors/n
		m.Store, m.Logs, m.Other = m.Store/k, m.Logs/k, m.Other/k
	}
	return m
}

// early and late are the two times that are compared.
func (r *result) early() sample { return r.busy(0.15, 0.25) }
func (r *result) late() sample  { return r.busy(0.85, 1.1) }

// row is one comparison.
type row struct {
	name                  string
	early, late, atMost   int64
	restBefore, restAfter int64
	restAtMost            int64
}

func (r *result) rows() []row {
	a, b, x, y := r.early(), r.late(), r.Rest, r.RestAgain
	nodes, versions, all := int64(b.Booted-a.Booted), int64(b.Versions-a.Versions), int64(y.Versions-x.Versions)
	limit := func(early, plus int64) int64 { return int64(more*float64(early)) + plus }
	counts, restCounts := someCount+versions*perVersionCount, 30+all*perVersionCount
	memory := nodes*perNodeMemory + someMemory
	rest := int64(r.Nodes)*perNodeMemory + someMemory
	return []row{
		{"resident memory, KiB", a.RSS >> 10, b.RSS >> 10, limit(a.RSS, memory) >> 10, x.RSS >> 10, y.RSS >> 10, 0},
		{"heap, KiB", a.Heap >> 10, b.Heap >> 10, limit(a.Heap, memory) >> 10, x.Heap >> 10, y.Heap >> 10, limit(x.Heap, rest) >> 10},
		{"goroutines", int64(a.Goroutines), int64(b.Goroutines), limit(int64(a.Goroutines), counts), int64(x.Goroutines), int64(y.Goroutines), limit(int64(x.Goroutines), restCounts)},
		{"descriptors", int64(a.Descriptors), int64(b.Descriptors), limit(int64(a.Descriptors), counts), int64(x.Descriptors), int64(y.Descriptors), limit(int64(x.Descriptors), restCounts)},
		{"store, KiB", a.Store >> 10, b.Store >> 10, (a.Store + versions*perVersionDisk + someDisk) >> 10, x.Store >> 10, y.Store >> 10, 0},
		{"logs, KiB", a.Logs >> 10, b.Logs >> 10, (a.Logs + nodes*perNodeDisk + someDisk) >> 10, x.Logs >> 10, y.Logs >> 10, 0},
		{"leases and the rest, KiB", a.Other >> 10, b.Other >> 10, (a.Other + nodes<<10 + someDisk) >> 10, x.Other >> 10, y.Other >> 10, 0},
	}
}

// judge finds out what is wrong.
func (r *result) judge(faults []string, log string) {
	r.Faults = append([]string{}, faults...)
	if failed := r.RestAgain.Failed; failed > 0 {
		r.Faults = append(r.Faults, fmt.Sprintf("%d of %d nodes did not boot", failed, r.Nodes))
	}
	if booted := r.RestAgain.Booted; booted+r.RestAgain.Failed != r.Nodes {
		r.Faults = append(r.Faults, fmt.Sprintf("%d nodes booted, %d were to", booted, r.Nodes))
	}
	if r.Unheard > r.Nodes/10 { // a node has some ten
		r.Faults = append(r.Faults, fmt.Sprintf("the seeder did not take %d reports and logs", r.Unheard))
	}
	for _, x := range r.rows() {
		if x.late > x.atMost {
			r.Faults = append(r.Faults, fmt.Sprintf("%s: %d at the end, %d at the beginning, want at most %d", x.name, x.late, x.early, x.atMost))
		}
		if x.restAtMost > 0 && x.restAfter > x.restAtMost {
			r.Faults = append(r.Faults, fmt.Sprintf("%s at rest: %d after it all, %d before, want at most %d", x.name, x.restAfter, x.restBefore, x.restAtMost))
		}
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "image/manifest.json is missing") {
			continue // the stand-ins for phase 1 are no image of mkimage's
		}
		if strings.Contains(line, "panic:") || strings.Contains(line, "level=ERROR") {
			r.Faults = append(r.Faults, "the seeder's log: "+strings.TrimSpace(line))
		}
	}
}

// print shows the result, as Markdown.
func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "%d nodes in %.0f s: %d booted, %d failed; the seeder did not take %d of their reports and logs; %d versions published; the seeder had %.0f s of processor time; the machine's load was %.1f.\n\n",
		r.Nodes, r.Time, r.RestAgain.Booted, r.RestAgain.Failed, r.Unheard, r.RestAgain.Versions-r.Rest.Versions, r.RestAgain.CPU-r.Rest.CPU, r.load())
	fmt.Fprintf(w, "| | before the first node | after a fifth (%d booting) | at the end (%d booting) | at most | after the last node |\n", r.early().Booting, r.late().Booting)
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|")
	for _, x := range r.rows() {
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d | %d |\n", x.name, x.restBefore, x.early, x.late, x.atMost, x.restAfter)
	}
	for _, f := range r.Faults {
		fmt.Fprintln(w, "\nFault:", f)
	}
}

// load is the mean of the machine's load averages.
func (r *result) load() (mean float64) {
	for _, s := range r.Samples {
		mean += s.Load / float64(len(r.Samples))
	}
	return mean
}

// keep writes the result as JSON and into the docs, where that is wanted.
func (r *result) keep(o options) error {
	if o.results != "" {
		text, err := json.MarshalIndent(r, "", " ")
		if err != nil {
			return err
		}
		if err := os.MkdirAll(o.results, 0o755); err != nil {
			return err
		}
		name := strings.NewReplacer(":", "", "-", "").Replace(r.Date) + ".json"
		if err := os.WriteFile(filepath.Join(o.results, name), append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.docs == "" {
		return nil
	}
	var b strings.Builder
	b.WriteString(introduction)
	r.print(&b)
	return os.WriteFile(o.docs, []byte(b.String()), 0o644)
}

const introduction = `# Soak

` + "`go run ./integration/soak --results integration/soak/results --docs docs/soak.md`" + ` wrote this page, and the samples of every ten seconds beside it into
integration/soak/results. It boots simulated nodes against the real seeder, each with an address of its own: DHCP by a relay, a boot
loader by TFTP, script, kernel and initramfs by HTTP, the signed catalog, a system of 2 MiB by the project's BitTorrent engine, announces,
reports, a log. One of two systems changes every 30 s meanwhile. The seeder at the end is compared with the seeder after a fifth of the
time, when the room is as busy, and the seeder at rest after the last node with that before the first.

Tolerances, beside a quarter of everything, as it goes up and down: 4 KiB of memory and 36 KiB of log for each node that came meanwhile (they are
remembered, up to the fleet's quotas), and a system's size, some goroutines and descriptors for each version of a system published meanwhile:
old versions are kept for ten minutes.

`

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	fast6    = scenario{Name: "fast", Nodes: 6, Link: 1e9, Server: 1e9, Image: 256 << 20, Piece: 128 << 10}
	epyc     = machine{CPU: "EPYC", Processors: 2}
	xeon     = machine{CPU: "Xeon", Processors: 2}
	long     = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	yard     = thisMachine()
	measured = report{Machine: yard, Time: long.Add(time.Hour), Results: []result{
		{Engine: ours, Build: buildNode, scenario: fast6, Run: 1, CPUSeconds: 12, CPUSeederSeconds: 1, CPUNodesKernel: 3, TLast: 6, SeederCopies: 1.2},
		{Engine: "aria2", scenario: fast6, Run: 1, CPUSeconds: 10, CPUSeederSeconds: 1, TLast: 6, SeederCopies: 1.3},
		{Engine: ours, Build: buildNode, scenario: fast6, Run: 2, CPUSeconds: 9, CPUSeederSeconds: 1, CPUNodesKernel: 3, TLast: 6, SeederCopies: 1.2},
		{Engine: "aria2", scenario: fast6, Run: 2, CPUSeconds: 10, CPUSeederSeconds: 1, TLast: 6, SeederCopies: 1.3},
		{Engine: ours, Build: buildNode, scenario: fast6, Run: 3, CPUSeconds: 8, CPUSeederSeconds: 1, CPUNodesKernel: 3, TLast: 6, SeederCopies: 1.2},
		{Engine: "aria2", scenario: fast6, Run: 3, CPUSeconds: 20, CPUSeederSeconds: 1, TLast: 6, SeederCopies: 1.3},
	}}
)

// Ratios are made within a run: the median of 1.2, 0.9 and 0.4, and not 9/10.
func TestCompare(t *testing.T) {
	all := compare(fast6, measured.Results)
	if len(all) != 1 || all[0].of != ours || all[0].against != "aria2" || all[0].runs != 3 {
		t.Fatalf("got %+v, want this project's engine against aria2", all)
	}
	if c := all[0]; round(c.cpu) != 0.9 || round(c.least) != 0.4 || round(c.most) != 1.2 || c.time != 1 {
		t.Errorf("got %+v", c)
	}
	with := append(measured.Results[:6:6], result{Engine: ours, Build: buildPlain, scenario: fast6, Run: 1, CPUSeconds: 6})
	if all := compare(fast6, with); len(all) != 3 || all[0].of != ours || all[0].against != "aria2" || all[1].against != "boottorrent, inlined" || all[1].cpu != 2 {
		t.Errorf("with another build: %+v", all)
	}
}

// What nobody runs, and what another machine measured, does not stand beside new rows.
func TestOldRows(t *testing.T) {
	old := report{Machine: xeon, Time: long, Results: []result{
		{Engine: ours, scenario: fast6, TLast: 5}, {Engine: "http", scenario: fast6, TLast: 9},
	}}
	before := newest([]report{old})
	if len(before) != 2 || before[0].label() != "boottorrent, old build" || before[1].label() != "http" {
		t.Errorf("before anything new: %+v, want the old rows, marked", before)
	}
	for _, r := range newest([]report{old, measured}) {
		if r.Engine == "http" || r.label() == "boottorrent, old build" {
			t.Errorf("beside new rows stands %+v", r)
		}
	}
	old.Machine, old.Results[1].Engine = yard, "libtorrent"
	if after := newest([]report{old, measured}); len(after) != 7 {
		t.Errorf("got %d rows, want all but the old build's: %+v", len(after), after)
	}
}

// Where rows of several machines are on the page, those of the last one are marked.
func TestMarks(t *testing.T) {
	other := report{Machine: xeon, Time: long, Results: []result{{Engine: ours, Build: buildNode, scenario: scenario{Name: "fast", Nodes: 4, Link: 1e9}, TLast: 5}}}
	path := filepath.Join(t.TempDir(), "page.md")
	for _, reports := range [][]report{{measured}, {other, measured}} {
		if err := writePage(path, reports, summarize(newest(reports)), rest{}, ""); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(text), "| fast, N=6 † |"); got != (len(reports) > 1) {
			t.Errorf("of %d machines: marked %v", len(reports), got)
		}
		if strings.Contains(string(text), "fast, N=4 †") {
			t.Error("the other machine's row is marked")
		}
	}
}

func TestPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	reports := []report{measured}
	if err := writePage(path, reports, summarize(newest(reports)), rest{Alone: []float64{10, 20, 10}, Slow: []float64{10.2, 20, 12}}, "the end\n"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	for _, part := range []string{
		"## What a node costs", "| fast, N=6 | boottorrent | 3.1+1.9 | 0.6 | 5.6 |", "|  | aria2 |",
		"## Limits", "| fast, N=6: CPU against aria2's | ≤ 1.0 | 0.7 | 0.90 (CPU 5.6 and 6.2 s/GB) | yes |", "| fast, N=16: copies from the seeder | ≤ 1.5 | 1.15 | not yet |  |",
		"| a peer of 20 kB/s costs four others, % | ≤ 3 |  | 2.00 (3 runs of BenchmarkOddPeer) | yes |",
		"## fast: ", "the end",
	} {
		i := bytes.Index(text, []byte(part))
		if i <= at {
			t.Errorf("%q is not in the page, or too early:\n%s", part, text)
		}
		at = max(at, i)
	}
}

func TestLimitIsMetOrNot(t *testing.T) {
	l := limit{what: "x", most: "≤ 1.06", bound: 1.06}
	for value, want := range map[float64]string{1.05: "yes", 1.064: "yes", 1.066: "no", 2: "no"} {
		if got := l.cells(value, "", true); got[4] != want {
			t.Errorf("%g of %s: %v", value, l.most, got)
		}
	}
}

// What is there is not measured again; half of a row, another machine's or an old one is.
func TestRowsGoOn(t *testing.T) {
	row := tableRow{scenario: "fast", nodes: []int{6}, engines: []string{ours, "aria2"}, builds: []string{buildNode}, runs: 3}
	for _, c := range []struct {
		what string
		row  func(tableRow) tableRow
		rep  func(report) report
		want bool
	}{
		{"all is there", nil, nil, true},
		{"four runs", func(r tableRow) tableRow { r.runs = 4; return r }, nil, false},
		{"two builds", func(r tableRow) tableRow { r.builds = []string{buildNode, buildPlain}; return r }, nil, false},
		{"another engine", func(r tableRow) tableRow { r.engines = []string{ours, "http"}; return r }, nil, false},
		{"other nodes", func(r tableRow) tableRow { r.nodes = []int{6, 8}; return r }, nil, false},
		{"another machine", nil, func(r report) report { r.Machine = epyc; return r }, false},
		{"long ago", nil, func(r report) report { r.Time = long.Add(-time.Hour); return r }, false},
	} {
		r, rep := row, measured
		if c.row != nil {
			r = c.row(r)
		}
		if c.rep != nil {
			rep = c.rep(rep)
		}
		if got := r.doneBy([]report{rep}, long); got != c.want {
			t.Errorf("%s: done is %t", c.what, got)
		}
	}
	if got := row.estimate([]report{measured}); got != 6*(6*time.Second+overhead) {
		t.Errorf("three runs of 6 s with two engines take %s", got)
	}
}

// Each row can be measured, and has what the limits are about.
func TestTableRows(t *testing.T) {
	var all []scenario
	for _, row := range tableRows {
		s, err := row.scenariosOf()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s...)
		for _, e := range row.engines {
			found := false
			for _, known := range engines() {
				found = found || known.name() == e
			}
			if !found {
				t.Errorf("%s: there is no engine %s", row, e)
			}
		}
		if row.estimate(nil) <= 0 {
			t.Errorf("%s takes no time", row)
		}
	}
	for _, s := range all {
		if strings.HasSuffix(s.Name, "equal") && s.Nodes > 16 && s.Link > 4e6 {
			t.Errorf("%s: processors would be the limit", s)
		}
	}
}

func TestParseSlowPeer(t *testing.T) {
	const out = "goos: linux\nBenchmarkOddPeer/20kB-2 \t       1\t17000000000 ns/op\t        17.02 s/room\nBenchmarkOddPeer/none-2 \t 1\t16 ns/op\t 16.5 s/room\nPASS\n"
	if alone, slow, err := parseSlowPeer(out); err != nil || alone != 16.5 || slow != 17.02 {
		t.Errorf("got %g and %g, %v", alone, slow, err)
	}
	for _, bad := range []string{"", "BenchmarkOddPeer/none-2 1 16 ns/op 16.5 s/room\n", strings.ReplaceAll(out, "s/room", "")} {
		if alone, slow, err := parseSlowPeer(bad); err == nil {
			t.Errorf("%q is taken for %g and %g", bad, alone, slow)
		}
	}
}

// The newest of each figure counts, whichever file it is in.
func TestRestIsKept(t *testing.T) {
	dir := t.TempDir()
	for i, r := range []rest{{Phase1: 5, Alone: []float64{1}, Slow: []float64{2}}, {Phase1: 7}, {Alone: []float64{2}, Slow: []float64{3}}} {
		r.Time = long.Add(time.Duration(i) * time.Hour)
		if err := r.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := loadRest(dir); err != nil || r.Phase1 != 7 || r.slowPeer() != 0.5 {
		t.Errorf("got %+v, %v", r, err)
	}
}

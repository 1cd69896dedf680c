package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/bench/peer"
	"github.com/boottorrent/boottorrent/internal/need"
)

func TestLeastTime(t *testing.T) {
	const mb, mbit = 1e6, 1e6
	for _, c := range []struct {
		what             string
		size             int64
		nodes            int
		seeder, down, up float64
		want             float64 // seconds
	}{
		{"the nodes' downlinks are the limit", 100 * mb, 8, 100 * mbit, 100 * mbit, 100 * mbit, 8},
		{"however many nodes", 100 * mb, 800, 100 * mbit, 100 * mbit, 100 * mbit, 8},
		{"the seeder's uplink", 100 * mb, 8, 25 * mbit, 100 * mbit, 100 * mbit, 32},
		{"all uplinks together", 100 * mb, 9, 100 * mbit, 100 * mbit, 10 * mbit, 9 * 800. / 190},
		{"a fast seeder", 100 * mb, 8, 1000 * mbit, 100 * mbit, 100 * mbit, 8},
		{"one node", 100 * mb, 1, 100 * mbit, 50 * mbit, 1 * mbit, 16},
		{"no limit", 100 * mb, 8, 0, 0, 0, 0},
		{"nobody", 100 * mb, 0, 1, 1, 1, 0},
	} {
		if got := leastTime(c.size, c.nodes, c.seeder, c.down, c.up).Seconds(); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %.3f s, want %.3f", c.what, got, c.want)
		}
	}
}

func TestScenarios(t *testing.T) {
	c := choice{nodes: []int{8}, link: 20e6}
	for _, p := range presets {
		all, err := newScenarios(p.name, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if p.server > 0 && s.Server != p.server*20e6 || p.server == 0 && s.Server+s.Link != 0 {
				t.Errorf("%s: seeder at %g, nodes at %g bit/s", p.name, s.Server, s.Link)
			}
			if p.image > 0 && s.Image != p.image<<20 || p.image == 0 && s.Image != defaultImage {
				t.Errorf("%s: %d bytes", p.name, s.Image)
			}
		}
	}
	stagger, _ := newScenarios("stagger", c)
	if want := leastTime(64<<20, 8, 20e6, 20e6, 20e6) / 2; stagger[0].Stagger != want {
		t.Errorf("arrivals over %s, want %s", stagger[0].Stagger, want)
	}
	if _, err := newScenarios("no", c); err == nil || !strings.Contains(err.Error(), "server10") {
		t.Errorf("an unknown scenario: %v, want the known ones named", err)
	}
	if link := linkFor(10_000); link != 1e6 {
		t.Errorf("links of %g bit/s for many nodes", link)
	}
}

// TestFastLinks: the figures of "Fast links" are of links of 1 Gbit/s and 256 MiB in pieces of 128 KiB.
func TestFastLinks(t *testing.T) {
	all, err := newScenarios("fast", choice{nodes: []int{6}})
	if want := (scenario{Name: "fast", Nodes: 6, Link: 1e9, Server: 1e9, Image: 256 << 20, Piece: 128 << 10}); err != nil || len(all) != 1 || all[0] != want {
		t.Errorf("got %+v, %v, want %+v", all, err, want)
	}
}

func TestNumbersOfNodes(t *testing.T) {
	for _, c := range []struct {
		scenario    string
		nodes, want []int
	}{
		{"equal", nil, []int{8}}, {"equal", []int{4, 16}, []int{4, 16}},
		{"single", nil, []int{1}}, {"single", []int{8}, []int{1}},
		{"unshaped", nil, []int{1, 2}}, {"unshaped", []int{8}, []int{1, 2}}, {"unshaped", []int{2, 8}, []int{2}},
		{"fast", nil, []int{4, 6, 8, 16}}, {"fast", []int{6}, []int{6}},
	} {
		all, err := newScenarios(c.scenario, choice{nodes: c.nodes})
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, s := range all {
			got = append(got, s.Nodes)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s with --nodes %v: measured with %v, want %v", c.scenario, c.nodes, got, c.want)
		}
	}
	for _, bad := range []string{"0", "201", "4,", "x", "-1"} {
		if nodes, err := parseNodes(bad); err == nil {
			t.Errorf("--nodes %q is taken for %v", bad, nodes)
		}
	}
}

func TestParseCPU(t *testing.T) {
	a, err := parseCPU("cpu  100 0 50 800 30 5 5 10 0 0\ncpu0 1 2 3\n")
	if want := (cpuTimes{all: 1000, idle: 830, steal: 10, softirq: 5}); err != nil || a != want {
		t.Errorf("got %+v, %v, want %+v", a, err, want)
	}
	for _, bad := range []string{"", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8\n", "cpu  a 0 50 800 30 5 5 10 0 0\n"} {
		if _, err := parseCPU(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for _, c := range []struct {
		idle, steal uint64
		limited     bool
	}{{500, 0, false}, {50, 0, true}, {500, 100, true}, {100, 50, false}} {
		l := between(cpuTimes{}, cpuTimes{all: 1000, idle: c.idle, steal: c.steal})
		if l.limited() != c.limited {
			t.Errorf("%d idle and %d stolen of 1000: limited is %v", c.idle, c.steal, l.limited())
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.of, func(f float64) float64 { return f }); got != c.want {
			t.Errorf("the median of %v is %g, want %g", c.of, got, c.want)
		}
	}
}

func TestMissingEngines(t *testing.T) {
	if _, _, err := choose([]string{"nobody"}, true); err == nil || !strings.Contains(err.Error(), "libtorrent") {
		t.Errorf("an unknown engine: %v, want the known ones named", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, _, err := choose([]string{"boottorrent", "aria2"}, false); err == nil || !strings.Contains(err.Error(), "apt-get install aria2") {
		t.Errorf("without aria2c: %v, want the package named", err)
	}
	chosen, skipped, err := choose([]string{"boottorrent", "aria2"}, true)
	if err != nil || len(chosen) != 1 || len(skipped) != 1 || !strings.Contains(skipped[0], "aria2c") {
		t.Errorf("chosen %v, skipped %v, %v; want aria2 named and left out", chosen, skipped, err)
	}
}

func TestNewestResults(t *testing.T) {
	s := scenario{Name: "equal", Nodes: 8}
	of := func(engine, build string, last float64) result {
		return result{Engine: engine, Build: build, scenario: s, TLast: last}
	}
	old := report{Results: []result{of("http", "", 9), of(ours, buildNode, 5), of(ours, buildNode, 6), of(ours, buildPlain, 4)}}
	now := report{Results: []result{of(ours, buildNode, 3)}, Time: time.Now()}
	groups := summarize(newest([]report{old, now}))
	if len(groups) != 1 || len(groups[0].rows) != 3 {
		t.Fatalf("got %+v, want one scenario with three rows", groups)
	}
	if rows := groups[0].rows; rows[0].TLast != 3 || rows[0].runs != 1 || rows[1].label() != "boottorrent, inlined" || rows[1].TLast != 4 || rows[2].TLast != 9 {
		t.Errorf("got %+v", rows)
	}
}

// TestBench measures two small rooms, makes the documents of it, and leaves nothing behind.
func TestBench(t *testing.T) {
	need.Root(t)
	need.Command(t, "ip", "iproute2")
	need.Command(t, "aria2c", "aria2")
	results, docs := t.TempDir(), t.TempDir()
	err := run(t.Context(), []string{"swarm", "--engines", "boottorrent,aria2", "--nodes", "2", "--image", "1", "--link", "40",
		"--runs", "1", "--stagger", "50ms", "--format", "json", "--results", results})
	if err != nil {
		t.Fatal(err)
	}
	reports, err := loadReports(results)
	if err != nil || len(reports) != 1 || len(reports[0].Results) != 2 {
		t.Fatalf("kept %+v, %v; want one report with two results", reports, err)
	}
	if r := reports[0].Results; r[0].Build != buildNode || r[1].Build != "" || reports[0].Builds[0].Name != buildNode || len(reports[0].Builds[0].Flags) == 0 {
		t.Errorf("the builds are %q and %q, described as %+v", r[0].Build, r[1].Build, reports[0].Builds)
	}
	for _, r := range reports[0].Results {
		least := leastTime(1<<20, 1, 40e6, 40e6, 40e6).Seconds()
		if r.TFirst < 0.9*least || r.TLast < r.TMedian || r.TMedian < r.TFirst || math.Abs(r.TMin-least) > 0.001 {
			t.Errorf("%s: times %g, %g, %g with a bound of %g, want it to be %.3f", r.Engine, r.TFirst, r.TMedian, r.TLast, r.TMin, least)
		}
		if nodes := r.CPUSeconds - r.CPUSeederSeconds; r.CPUSeederSeconds <= 0 || r.CPUSeederKernel > r.CPUSeederSeconds || r.CPUNodesKernel <= 0 || r.CPUNodesKernel > nodes {
			t.Errorf("%s: of %g CPU seconds the seeder took %g (kernel %g), nodes' kernel %g", r.Engine, r.CPUSeconds, r.CPUSeederSeconds, r.CPUSeederKernel, r.CPUNodesKernel)
		}
		if r.SeederCopies < 1 || r.SeederCopies > 2.5 || r.CPUSeconds <= 0 || r.RSSPeakMiB < 1 {
			t.Errorf("%s: %g copies, %g CPU seconds, %g MiB", r.Engine, r.SeederCopies, r.CPUSeconds, r.RSSPeakMiB)
		}
	}
	if err := run(t.Context(), []string{"plot", "--results", results, "--docs", docs}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(docs, "benchmark.md"))
	if err != nil || !bytes.Contains(page, []byte("| boottorrent | 1 |")) {
		t.Errorf("the page is %q, %v", page, err)
	}
	svg, err := os.ReadFile(filepath.Join(docs, "benchmark", "equal.svg"))
	if err != nil || !bytes.Contains(svg, []byte("</svg>")) {
		t.Errorf("the picture has %d bytes, %v", len(svg), err)
	}
	assertNothingLeft(t)
}

// TestInterrupt ends a benchmark in the middle of a run.
func TestInterrupt(t *testing.T) {
	need.Root(t)
	need.Command(t, "ip", "iproute2")
	s := scenario{Name: "equal", Nodes: 2, Link: 1e6, Server: 1e6, Image: 4 << 20, Piece: 256 << 10}
	dir := t.TempDir()
	img, err := makeImage(filepath.Join(dir, "seeder"), s.Image, s.Piece, trackerURL(addr(0)))
	if err != nil {
		t.Fatal(err)
	}
	builds, err := getBuilds(t.Context(), t.TempDir(), []string{buildPlain})
	if err != nil {
		t.Fatal(err)
	}
	trial := &trial{scenario: s, engine: own{peer.Boottorrent, builds[0]}, img: img, dir: filepath.Join(dir, "nodes")}
	if trial.star, err = newStar(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := trial.star.close(); err != nil {
			t.Error(err)
		}
		for _, p := range append(trial.nodes, trial.seeder) {
			select {
			case <-p.ended:
			case <-time.After(10 * time.Second):
				t.Errorf("%s still runs after its room was closed", p.name)
			}
		}
		assertNothingLeft(t)
	}()
	if err := trial.getReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := trial.measure(ended); err == nil || !strings.Contains(err.Error(), "is not done") {
		t.Errorf("an interrupted run: %v", err)
	}
}

// assertNothingLeft checks that this process has no namespaces and no folders in memory.
func assertNothingLeft(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"/run/netns/btlab-%d-*", workDirs + "/boottorrent-bench-%d"} {
		left, err := filepath.Glob(fmt.Sprintf(pattern, os.Getpid()))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

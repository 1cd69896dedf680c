package main

import (
	"cmp"
	"flag"
	"fmt"
	"image/color"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/boottorrent/boottorrent/integration/bench/boot"
)

// plotCommand makes the documentation's tables and pictures of the results kept.
func plotCommand(args []string) error {
	flags := flag.NewFlagSet("bench plot", flag.ContinueOnError)
	results := flags.String("results", "integration/bench/results", "the folder with results")
	docs := flags.String("docs", "docs", "the folder to write benchmark.md and the pictures to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q; see bench plot --help", flags.Arg(0))
	}
	reports, err := loadReports(*results)
	if err != nil {
		return err
	}
	if len(reports) == 0 {
		return fmt.Errorf("no results in %s: measure first, with bench swarm", *results)
	}
	groups := summarize(newest(reports))
	if err := os.MkdirAll(filepath.Join(*docs, "benchmark"), 0o755); err != nil {
		return err
	}
	for name, groups := range byName(groups) {
		if err := drawBars(groups, filepath.Join(*docs, picture(name))); err != nil {
			return fmt.Errorf("draw %s: %w", name, err)
		}
	}
	loaders, err := boot.Page(filepath.Join(*results, "boot"))
	if err != nil {
		return err
	}
	other, err := loadRest(*results)
	if err != nil {
		return err
	}
	page := filepath.Join(*docs, "benchmark.md")
	if err := writePage(page, reports, groups, other, loaders); err != nil {
		return err
	}
	fmt.Println("written:", page)
	return nil
}

// machineResult is a result with where and when it was measured.
type machineResult struct {
	result
	machine machine
	at      time.Time
}

// newest keeps, of each engine and build in each scenario, what the last report says that has it, without what is too old to stand
// beside the rest (withoutOld), in the order of the table: by scenario, number of nodes, and engine.
func newest(reports []report) []result {
	type key struct {
		scenario scenario
		label    string
	}
	of := map[key][]machineResult{}
	for _, rep := range reports {
		fresh := map[key][]machineResult{}
		for _, r := range rep.Results {
			k := key{r.scenario, r.label()}
			fresh[k] = append(fresh[k], machineResult{r, rep.Machine, rep.Time})
		}
		maps.Copy(of, fresh)
	}
	all := withoutOld(slices.Concat(slices.Collect(maps.Values(of))...))
	slices.SortStableFunc(all, func(a, b result) int {
		return cmp.Or(slices.Compare(a.rank(), b.rank()), cmp.Compare(a.label(), b.label()), cmp.Compare(a.Run, b.Run))
	})
	return all
}

// rank orders results.
func (r result) rank() []float64 {
	return []float64{
		float64(slices.IndexFunc(presets, func(p preset) bool { return p.name == r.Name })), float64(r.Nodes), r.Link, r.Server,
		float64(r.Image), float64(r.Piece), float64(r.Stagger), float64(slices.IndexFunc(engines(), func(e engine) bool { return e.name() == r.Engine })),
	}
}

func byName(groups []group) map[string][]group {
	m := map[string][]group{}
	for _, g := range groups {
		m[g.scenario.Name] = append(m[g.scenario.Name], g)
	}
	return m
}

// picture is the path of a scenario's picture, from the documentation's folder.
func picture(name string) string { return "benchmark/" + name + ".svg" }

// colors tell the groups of bars apart; from Okabe and Ito's palette, which also the colour-blind can.
var colors = []color.RGBA{{0, 114, 178, 255}, {230, 159, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {86, 180, 233, 255}, {213, 94, 0, 255}}

// drawBars draws a bar for each engine and each variant of a scenario: the ratio, or the processor time for each GB if processors are
// the limit.
func drawBars(groups []group, path string) error {
	p := plot.New()
	p.Title.Text = title(groups[0].scenario.Name)
	p.Y.Label.Text, p.Y.Min = "time of the last node / least possible time", 0
	value := ratio
	processors := presetOf(groups[0].scenario.Name).processors
	if processors {
		p.Y.Label.Text, value = "processor time of all, s/GB", func(r result) float64 { return r.perGB(r.CPUSeconds) }
	}
	names := labelsOf(groups)
	width := vg.Points(60 / float64(len(groups)))
	for i, g := range groups {
		bars, err := plotter.NewBarChart(values(g, names, value), width)
		if err != nil {
			return err
		}
		bars.Color, bars.LineStyle.Width = colors[i%len(colors)], 0
		bars.Offset = width * vg.Length(float64(i)-float64(len(groups)-1)/2)
		p.Add(bars)
		if len(groups) > 1 {
			p.Legend.Add(variant(g.scenario), bars)
		}
	}
	if !processors {
		bound := plotter.NewFunction(func(float64) float64 { return 1 })
		bound.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(bound)
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.NominalX(lines(names)...)
	p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5
	p.Y.Max *= 1.15 // room for the legend
	return p.Save(16*vg.Centimeter, 9*vg.Centimeter, path)
}

// lines are labels with their builds below them, where they have more room.
func lines(names []string) (texts []string) {
	for _, name := range names {
		texts = append(texts, strings.Replace(name, ", ", "\n", 1))
	}
	return texts
}

// values are an engine's each; 0 where it was not measured.
func values(g group, names []string, value func(result) float64) plotter.Values {
	v := make(plotter.Values, len(names))
	for _, row := range g.rows {
		v[slices.Index(names, row.label())] = value(row.result)
	}
	return v
}

// labelsOf names the rows of the groups in the order of the tables.
func labelsOf(groups []group) (names []string) {
	for _, e := range engines() {
		for _, g := range groups {
			for _, r := range g.rows {
				if r.Engine == e.name() && !slices.Contains(names, r.label()) {
					names = append(names, r.label())
				}
			}
		}
	}
	return names
}

func title(name string) string { return presetOf(name).says }

func variant(s scenario) string {
	if s.Link == 0 {
		return fmt.Sprintf("N=%d, %d MiB", s.Nodes, s.Image>>20)
	}
	return fmt.Sprintf("N=%d, %s/%s Mbit/s, %d MiB", s.Nodes, trim(s.Server/1e6), trim(s.Link/1e6), s.Image>>20)
}

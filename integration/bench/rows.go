package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// tableRow is something to measure for docs/benchmark.md, in one go.
type tableRow struct {
	scenario string
	nodes    []int
	link     float64 // Mbit/s; 0 for the scenario's
	engines  []string
	builds   []string
	runs     int
}

// tableRows are all that docs/benchmark.md shows of the swarm, the most important first. HTTP at equal links needs N × F/S, and is there
// once.
var tableRows = []tableRow{
	{scenario: "fast", nodes: []int{6}, engines: foreigners, builds: []string{buildNode, buildPlain}, runs: 3},
	{scenario: "unshaped", nodes: []int{1}, engines: foreigners, builds: []string{buildNode, buildPlain}, runs: 3},
	{scenario: "fast", nodes: []int{16}, engines: foreigners, builds: []string{buildNode}, runs: 3},
	{scenario: "equal", nodes: []int{8}, link: 14, engines: foreigners[:3], builds: []string{buildNode}, runs: 3},
	{scenario: "equal", nodes: []int{48}, link: 4, engines: foreigners[:1], builds: []string{buildNode}, runs: 3},
	{scenario: "equal", nodes: []int{4}, link: 4, engines: foreigners[:1], builds: []string{buildNode}, runs: 3},
	{scenario: "equal", nodes: []int{16}, link: 12, engines: foreigners[:3], builds: []string{buildNode}, runs: 3},
	{scenario: "fast", nodes: []int{4}, engines: foreigners, builds: []string{buildNode}, runs: 3},
	{scenario: "fast", nodes: []int{8}, engines: foreigners, builds: []string{buildNode}, runs: 3},
	{scenario: "unshaped", nodes: []int{2}, engines: foreigners, builds: []string{buildNode}, runs: 3},
	{scenario: "single", nodes: []int{1}, engines: foreigners, builds: []string{buildNode}, runs: 3},
	{scenario: "server10", nodes: []int{8}, link: 14, engines: foreigners, builds: []string{buildNode}, runs: 1},
	{scenario: "server10", nodes: []int{16}, link: 12, engines: foreigners, builds: []string{buildNode}, runs: 1},
	{scenario: "quarter", nodes: []int{8}, link: 40, engines: foreigners[:3], builds: []string{buildNode}, runs: 1},
	{scenario: "stagger", nodes: []int{8}, link: 14, engines: foreigners[:3], builds: []string{buildNode}, runs: 1},
	{scenario: "equal", nodes: []int{8}, link: 14, engines: []string{"http"}, builds: []string{buildNode}, runs: 1},
}

// foreigners are this project's engine and whom it is compared with, HTTP last.
var foreigners = []string{"boottorrent", "aria2", "libtorrent", "http"}

// options are the flags of bench swarm that measure the row.
func (t tableRow) options(results string) options {
	return options{
		scenarios: []string{t.scenario}, engines: t.engines, builds: t.builds, choice: choice{nodes: t.nodes, link: t.link * 1e6},
		runs: t.runs, format: "table", results: results,
	}
}

// scenariosOf are the row's scenarios.
func (t tableRow) scenariosOf() ([]scenario, error) {
	return newScenarios(t.scenario, t.options("").choice)
}

// labels are the rows of the table that the measurement makes.
func (t tableRow) labels() (all []string) {
	for _, e := range t.engines {
		if e != "boottorrent" {
			all = append(all, e)
			continue
		}
		for _, b := range t.builds {
			all = append(all, build{Name: b}.label(e))
		}
	}
	return all
}

// String is for lists.
func (t tableRow) String() string {
	all, err := t.scenariosOf()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s: %s, %d runs", all[0], strings.Join(t.labels(), " / "), t.runs)
}

// doneBy is whether one of the reports since then has all of the row, measured on this machine.
func (t tableRow) doneBy(reports []report, since time.Time) bool {
	scenarios, err := t.scenariosOf()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(reports, func(rep report) bool {
		if rep.Time.Before(since) || rep.Machine != thisMachine() {
			return false
		}
		for _, s := range scenarios {
			for _, label := range t.labels() {
				if count(rep.Results, s, label) < t.runs {
					return false
				}
			}
		}
		return true
	})
}

func count(results []result, s scenario, label string) (n int) {
	for _, r := range results {
		if r.scenario == s && r.label() == label {
			n++
		}
	}
	return n
}

// overhead is how long a run takes beside the transfer: making the room, starting programs, comparing copies, ending programs.
const overhead = 6 * time.Second

// busy is the processor time, in seconds for each 10⁹ bytes, that a run which has never been made is expected to need.
const busy = 10

// estimate is how long the row takes, by what its runs took last; one that has never been made is taken for 1.5 times the bound, or for what
// the processors need.
func (t tableRow) estimate(reports []report) (sum time.Duration) {
	scenarios, _ := t.scenariosOf()
	for _, s := range scenarios {
		for _, label := range t.labels() {
			needs := float64(s.Image) * float64(s.Nodes) / 1e9 * busy / float64(runtime.NumCPU())
			one := s.Stagger + max(3*s.least()/2, time.Duration(needs*float64(time.Second)))
			for _, rep := range reports {
				for _, r := range rep.Results {
					if r.scenario == s && r.label() == label {
						one = s.Stagger + time.Duration(r.TLast*float64(time.Second))
					}
				}
			}
			sum += time.Duration(t.runs) * (one + overhead)
		}
	}
	return sum
}

// allCommand measures all rows that are not there yet, one after the other, and makes the documentation.
func allCommand(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench all", flag.ContinueOnError)
	results := flags.String("results", "integration/bench/results", "the folder to keep results in")
	docs := flags.String("docs", "docs", "the folder to write benchmark.md and the pictures to")
	within := flags.Duration("within", 12*time.Hour, "leave out what was measured on this machine within this time")
	list := flags.Bool("list", false, "only say what there is to measure, and how long it takes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q; see bench all --help", flags.Arg(0))
	}
	reports, err := loadReports(*results)
	if err != nil {
		return err
	}
	left := listRows(os.Stdout, reports, time.Now().Add(-*within))
	if *list {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root, for network namespaces; run it with sudo, or as: make tables")
	}
	var failed []error
	for i, t := range left {
		fmt.Printf("\n%d of %d: %s\n", i+1, len(left), t)
		if err := measureRow(ctx, t, *results); err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			return errors.Join(append(failed, errors.New("interrupted; what is measured is kept, and the same command goes on with the rest"))...)
		}
	}
	other, err := loadRest(*results)
	if err == nil && (other.Machine != thisMachine() || time.Since(other.Time) > *within) {
		fmt.Println("\na slow peer")
		err = restCommand(ctx, []string{"--results", *results})
	}
	return errors.Join(append(failed, err, plotCommand([]string{"--results", *results, "--docs", *docs}))...)
}

// listRows prints the rows, and returns those that are still to be measured.
func listRows(w io.Writer, reports []report, since time.Time) (left []tableRow) {
	var sum time.Duration
	for _, t := range tableRows {
		takes := t.estimate(reports)
		state := fmt.Sprintf("%5.1f min", takes.Minutes())
		if t.doneBy(reports, since) {
			state = "     there"
		} else {
			left = append(left, t)
			sum += takes
		}
		fmt.Fprintf(w, "%s  %s\n", state, t)
	}
	fmt.Fprintf(w, "%5.0f min  for the %d that are not there yet\n", sum.Minutes(), len(left))
	return left
}

func measureRow(ctx context.Context, t tableRow, results string) error {
	o := t.options(results)
	chosen, _, err := choose(o.engines, false)
	if err != nil {
		return err
	}
	rep := report{Machine: thisMachine(), Time: time.Now()}
	err = o.measure(ctx, chosen, &rep)
	if ctx.Err() != nil {
		return err // half a row would stand in the tables as the newest
	}
	if len(rep.Results) > 0 {
		err = errors.Join(err, o.deliver(rep))
	}
	return err
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the flags of bench swarm.
type options struct {
	scenarios, engines, builds []string
	choice
	runs        int
	format      string
	results     string
	skipMissing bool
	profiles    string
}

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench swarm", flag.ContinueOnError)
	scenarios := flags.String("scenario", "equal", "what to measure, separated by commas: equal, server10, quarter, stagger, single, fast, unshaped")
	names := flags.String("engines", "boottorrent,anacrolix,aria2,libtorrent,http", "whom to measure")
	builds := flags.String("builds", "node", "how boottorrent is compiled: node (as nodes run it), plain (inlined, as make build compiles), NAME=FOLDER (by bench build); "+
		"rows for each of several, separated by commas")
	nodes := flags.String("nodes", "", "how many nodes, several numbers separated by commas; empty for the scenario's. single has one, unshaped one or two")
	flags.IntVar(&o.runs, "runs", 3, "how often")
	flags.StringVar(&o.format, "format", "table", "table or json")
	flags.StringVar(&o.results, "results", "integration/bench/results", "the folder to keep results in; empty for none")
	link := flags.Float64("link", 0, "speed of a node's link in Mbit/s; 0 for one that leaves the processors time")
	server := flags.Float64("server", 0, "speed of the seeder's link in Mbit/s; 0 for the scenario's")
	flags.DurationVar(&o.stagger, "stagger", 0, "spread the nodes' beginnings over this time; 0 for the scenario's")
	size := flags.Int64("image", 0, "size of the image in MiB; 0 for 64, and 1024 where it is unshaped")
	piece := flags.Int64("piece", 0, "size of its pieces in KiB; 0 for the project's choice")
	flags.BoolVar(&o.skipMissing, "skip-missing", false, "leave out engines that are not installed")
	flags.StringVar(&o.profiles, "profiles", "", "a folder for CPU profiles of boottorrent and anacrolix")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return o, err
		}
	}
	o.scenarios, o.engines, o.builds = strings.Split(*scenarios, ","), strings.Split(*names, ","), strings.Split(*builds, ",")
	if o.nodes, err = parseNodes(*nodes); err != nil {
		return o, err
	}
	o.link, o.server, o.image, o.piece = *link*1e6, *server*1e6, *size<<20, *piece<<10
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q; see bench swarm --help", flags.Arg(0))
	case o.runs < 1 || *size < 0:
		return o, errors.New("want at least 1 for --runs, and no negative --image")
	case o.link < 0 || o.server < 0 || o.stagger < 0:
		return o, errors.New("--link, --server and --stagger cannot be negative")
	case o.piece != 0 && (o.piece < 16<<10 || o.piece&(o.piece-1) != 0):
		return o, fmt.Errorf("--piece %d: want a power of two from 16 on", *piece)
	case o.format != "table" && o.format != "json":
		return o, fmt.Errorf("--format %s: want table or json", o.format)
	}
	return o, nil
}

// parseNodes reads numbers of nodes separated by commas.
func parseNodes(text string) (nodes []int, err error) {
	if text == "" {
		return nil, nil
	}
	for f := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(f)
		if err != nil || n < 1 || n > 200 {
			return nil, fmt.Errorf("--nodes %s: want numbers from 1 to 200, separated by commas", text)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// swarmCommand measures what the flags say. What was measured before a failure or an interruption is printed and kept.
func swarmCommand(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root, for network namespaces; run it with sudo, or as: make bench")
	}
	chosen, skipped, err := choose(o.engines, o.skipMissing)
	for _, s := range skipped {
		fmt.Fprintln(os.Stderr, "left out:", s)
	}
	if err != nil {
		return err
	}
	rep := report{Machine: thisMachine(), Time: time.Now()}
	err = o.measure(ctx, chosen, &rep)
	if len(rep.Results) > 0 {
		err = errors.Join(err, o.deliver(rep))
	}
	return err
}

// measure compiles the peers and runs every engine in every scenario. One that fails does not keep the others from being measured.
func (o options) measure(ctx context.Context, chosen []engine, rep *report) (err error) {
	dir, err := newWorkDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if slices.ContainsFunc(chosen, func(e engine) bool { _, ok := e.(own); return ok }) {
		if rep.Builds, err = getBuilds(ctx, filepath.Join(dir, "builds"), o.builds); err != nil {
			return err
		}
		chosen = withBuilds(chosen, rep.Builds)
	}
	var scenarios []scenario
	for _, name := range o.scenarios {
		some, err := newScenarios(name, o.choice)
		if err != nil {
			return err
		}
		scenarios = append(scenarios, some...)
	}
	var failed []error
	for _, s := range scenarios {
		if err := o.measureOne(ctx, dir, s, chosen, rep); err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			failed = append(failed, errors.New("interrupted"))
			break
		}
	}
	return errors.Join(failed...)
}

// measureOne runs every engine in a scenario, one after the other, as often as wanted.
func (o options) measureOne(ctx context.Context, dir string, s scenario, chosen []engine, rep *report) error {
	img, err := makeImage(filepath.Join(dir, "seeder"), s.Image, s.Piece, trackerURL(addr(0)))
	if err != nil {
		return err
	}
	if err := warm(dir, s.Image*int64(s.Nodes)); err != nil {
		return err
	}
	var failed []error
	for run := 1; run <= o.runs; run++ {
		for _, e := range chosen {
			t := &trial{scenario: s, engine: e, img: img, dir: filepath.Join(dir, "nodes"), profiles: o.profiles, number: run}
			r, err := t.run(ctx)
			if ctx.Err() != nil {
				return errors.Join(failed...)
			}
			if err != nil {
				failed = append(failed, err)
				fmt.Fprintln(os.Stderr, "failed:", err)
				continue
			}
			rep.Results = append(rep.Results, r)
			fmt.Fprintln(os.Stderr, r.line())
		}
	}
	return errors.Join(failed...)
}

// deliver prints and keeps the results.
func (o options) deliver(rep report) error {
	var err error
	if o.format == "json" {
		err = printJSON(os.Stdout, rep.Results)
	} else {
		err = printTable(os.Stdout, rep)
	}
	if o.results == "" {
		return err
	}
	path, saveErr := rep.save(o.results)
	if saveErr == nil {
		fmt.Fprintln(os.Stderr, "kept in", path)
	}
	return errors.Join(err, saveErr)
}

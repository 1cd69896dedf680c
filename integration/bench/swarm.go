package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// options are the flags of bench swarm.
type options struct {
	scenarios, engines []string
	choice
	piece       int64
	runs        int
	format      string
	results     string
	skipMissing bool
	profiles    string
}

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench swarm", flag.ContinueOnError)
	scenarios := flags.String("scenario", "equal", "what to measure, separated by commas: equal, server10, quarter, stagger, single, unshaped")
	names := flags.String("engines", "boottorrent,anacrolix,aria2,libtorrent,http", "whom to measure")
	flags.IntVar(&o.nodes, "nodes", 8, "how many nodes; single and unshaped have one")
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
	o.scenarios, o.engines = strings.Split(*scenarios, ","), strings.Split(*names, ",")
	o.link, o.server, o.image, o.piece = *link*1e6, *server*1e6, *size<<20, *piece<<10
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q; see bench swarm --help", flags.Arg(0))
	case o.nodes < 1 || o.nodes > 200 || o.runs < 1 || *size < 0:
		return o, errors.New("want 1 to 200 --nodes, at least 1 for --runs, and no negative --image")
	case o.link < 0 || o.server < 0 || o.stagger < 0:
		return o, errors.New("--link, --server and --stagger cannot be negative")
	case o.piece != 0 && (o.piece < 16<<10 || o.piece&(o.piece-1) != 0):
		return o, fmt.Errorf("--piece %d: want a power of two from 16 on", *piece)
	case o.format != "table" && o.format != "json":
		return o, fmt.Errorf("--format %s: want table or json", o.format)
	}
	return o, nil
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
	err = measureAll(ctx, o, chosen, func(r result) {
		rep.Results = append(rep.Results, r)
		fmt.Fprintln(os.Stderr, r.line())
	})
	if len(rep.Results) > 0 {
		err = errors.Join(err, o.deliver(rep))
	}
	return err
}

// measureAll runs every engine in every scenario. One that fails does not keep the others from being measured.
func measureAll(ctx context.Context, o options, chosen []engine, each func(result)) (err error) {
	dir, err := newWorkDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var failed []error
	for _, name := range o.scenarios {
		s, err := newScenario(name, o.choice)
		if err != nil {
			return err
		}
		img, err := makeImage(filepath.Join(dir, "seeder"), s.Image, o.piece, trackerURL(addr(0)))
		if err != nil {
			return err
		}
		if err := warm(dir, s.Image*int64(s.Nodes)); err != nil {
			return err
		}
		for run := range o.runs {
			for _, e := range chosen {
				t := &trial{scenario: s, engine: e, img: img, dir: filepath.Join(dir, "nodes"), profiles: o.profiles}
				r, err := t.run(ctx)
				if ctx.Err() != nil {
					return errors.Join(append(failed, errors.New("interrupted"))...)
				}
				if err != nil {
					failed = append(failed, err)
					fmt.Fprintln(os.Stderr, "failed:", err)
					continue
				}
				r.Run = run + 1
				each(r)
			}
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

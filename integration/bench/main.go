// Bench measures how long a room needs for one image, with this project's BitTorrent engine and with what else one might
// take, side by side.
//
// Synopsis:
//
//	bench swarm [--scenario NAMES] [--nodes NUMBERS] [--engines NAMES] [--builds NAMES] [--runs N] [--format table|json]
//	            [--results DIR] [--link MBIT] [--server MBIT] [--stagger TIME] [--image MIB] [--piece KIB] [--skip-missing]
//	            [--profiles DIR]
//	bench build [node|plain] DIR
//	bench rest  [--image FOLDER] [--runs N] [--results DIR]
//	bench all   [--results DIR] [--docs DIR] [--within TIME] [--list]
//	bench plot  [--results DIR] [--docs DIR]
//	bench sim   [--nodes N] [--racks N] [--uplink MBIT] ...
//	bench boot  --image FOLDER [--chains NAMES] [--link MBIT] [--delay TIME] [--loss SHARE] [--card NAME] [--runs N] [--results DIR]
//	bench reports [--nodes N] [--seconds N] [--results DIR]
//	bench site   [--what announces|seeder|mirror] [--nodes N] [--every TIME] [--time TIME] [--dir DIR] [--results DIR]
//	bench phase1 [--nodes N] [--helpers auto|off] [--seeder MBIT] [--link MBIT] [--boot TIME] [--results DIR]
//
// bench swarm makes a star of network namespaces in this machine (integration/lab): a seeder and N nodes, each with a
// cable of its own to one switch, shaped in both directions. All nodes begin at once, or spread over --stagger; every
// copy is verified by its SHA-256. It needs root. Results are printed, and kept as JSON in the folder --results.
//
// The nodes of this project's engine are programs that are compiled as mkimage compiles those of phase 1, and run in the same environment;
// the seeder is compiled as `make build` does it. With --builds node,plain there are rows for nodes compiled as the seeder is, too.
//
// bench build compiles the peers of this checkout into DIR. With --builds a=DIR,b=OTHER two of them are measured in turn.
//
// bench all measures what docs/benchmark.md shows, one row after the other, the most important first; it leaves out what was measured
// within the last hours, so it goes on where it was interrupted. --list says how long it takes.
//
// bench rest measures what else has a limit: what a slow peer costs the others, and the size of phase 1.
//
// bench plot makes the tables and pictures of docs/benchmark.md from all results kept.
//
// bench sim simulates rooms that are too large for this machine (package sim).
//
// bench boot measures how long boot loaders need for phase 1, by TFTP and by HTTP (package boot).
//
// bench reports measures what nodes that report and people who look at the page cost the seeder (package reports). It needs root.
//
// bench site measures what ten thousand nodes cost a tracker, a seeder and a mirror (package site). It needs root.
//
// bench phase1 measures how long a room needs to load phase 1, with helpers and without (package phase1). It needs root.
//
// `make bench` installs what is needed and measures the rows of the project's table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/boottorrent/boottorrent/integration/bench/boot"
	"github.com/boottorrent/boottorrent/integration/bench/phase1"
	"github.com/boottorrent/boottorrent/integration/bench/reports"
	"github.com/boottorrent/boottorrent/integration/bench/sim"
	"github.com/boottorrent/boottorrent/integration/bench/site"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do: swarm, all, build, rest, plot, sim, boot, reports, site or phase1; see bench swarm --help")
	}
	switch args[0] {
	case "swarm":
		return swarmCommand(ctx, args[1:])
	case "plot":
		return plotCommand(args[1:])
	case "sim":
		return sim.Command(ctx, args[1:], os.Stdout)
	case "boot":
		return boot.Command(ctx, args[1:], os.Stdout)
	case "reports":
		return reports.Command(ctx, args[1:], os.Stdout)
	case "site":
		return site.Command(ctx, args[1:], os.Stdout)
	case "phase1":
		return phase1.Command(ctx, args[1:], os.Stdout)
	case "all":
		return allCommand(ctx, args[1:])
	case "rest":
		return restCommand(ctx, args[1:])
	case "build":
		return buildCommand(ctx, args[1:])
	}
	return fmt.Errorf("unknown command %q: want swarm, all, build, rest, plot, sim, boot, reports, site or phase1", args[0])
}

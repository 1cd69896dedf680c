// Soak boots thousands of simulated nodes against the real seeder, while its systems change, and looks whether the seeder is at the
// end what it was after the first fifth: memory, descriptors, goroutines, disk.
//
// Synopsis:
//
//	soak [--nodes N] [--time TIME] [--change TIME] [--seed TIME] [--results DIR] [--docs FILE]
//	soak --reporting N [--time TIME] [--results DIR] [--docs FILE]
//
// With --reporting nobody boots: so many nodes report once a second each, and what the seeder takes for that is measured: processor,
// memory, and what its page, /metrics and the lists of nodes weigh.
//
// A node is what a machine does on the wire: DHCP by a relay, its boot loader by TFTP, script, kernel and initramfs by HTTP, the
// signed catalog, a system by this project's own BitTorrent engine, announces, reports, its log. Seeder and nodes have a network
// namespace each, with a cable between them; every node has an address of its own. Nothing else on the machine is touched. It needs
// root, and goes by itself when it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	nodes, reporting   int
	time, change, seed time.Duration
	results, docs      string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// inside marks the process that is in the nodes' namespace.
const inside = "BOOTTORRENT_SOAK_INSIDE"

func run(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.IntVar(&o.nodes, "nodes", 5000, "how many nodes boot")
	flags.IntVar(&o.reporting, "reporting", 0, "measure with so many nodes that report, for 15 s or --time a phase")
	flags.DurationVar(&o.time, "time", 10*time.Minute, "in which time")
	flags.DurationVar(&o.change, "change", 30*time.Second, "how often a system changes")
	flags.DurationVar(&o.seed, "seed", 10*time.Second, "how long a node gives its system away")
	flags.StringVar(&o.results, "results", "", "a folder to keep the result in, as JSON")
	flags.StringVar(&o.docs, "docs", "", "a file to describe the result in")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if os.Getenv(inside) == "" {
		return enter(ctx, args)
	}
	r, err := newRoom(ctx, "")
	if err != nil {
		return err
	}
	defer r.close()
	if o.reporting > 0 {
		return r.runReporting(ctx, o)
	}
	result, err := r.soak(ctx, o)
	if err != nil {
		return err
	}
	result.print(os.Stdout)
	if err := result.keep(o); err != nil {
		return err
	}
	if len(result.Faults) > 0 {
		return fmt.Errorf("%d faults", len(result.Faults))
	}
	return nil
}

// runReporting measures a room that reports.
func (r *room) runReporting(ctx context.Context, o options) error {
	result, err := r.report(ctx, o.reporting, min(o.time, 15*time.Second))
	if err != nil {
		return err
	}
	result.print(os.Stdout)
	return result.keep(o)
}

// enter runs this program again in a network namespace of its own.
func enter(ctx context.Context, args []string) error {
	if os.Geteuid() != 0 {
		return errors.New("it makes network namespaces: run it as root")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGTERM) }, 30*time.Second
	return cmd.Run()
}

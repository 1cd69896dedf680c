package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// progressStep is after how many percent of a download there is a line about it.
const progressStep = 20

// poll is how often the seeder is asked what its nodes do.
const poll = time.Second

// follow writes a line to w for each step of each node, until every machine has launched a system (true) or ctx ends.
func (d *demo) follow(ctx context.Context, w io.Writer) bool {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		nodes, err := d.seeder.Nodes(ctx)
		if err == nil {
			for _, n := range nodes {
				d.tell(w, n)
			}
			d.slowDown(ctx, w)
		}
		if d.launched() == len(d.nodes) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-d.seeder.Done():
			fmt.Fprintln(w, "The seeder has ended:", d.seeder.Tail(5))
			return false
		case <-tick.C:
		}
	}
}

// tell writes what is new about a node.
func (d *demo) tell(w io.Writer, n report.Node) {
	before, known := d.last[n.MAC]
	d.last[n.MAC] = n
	same := known && before.Boot == n.Boot && before.Step == n.Step && before.State == n.State
	if !same {
		d.told[n.MAC] = 0
	}
	switch {
	case same && n.Step == report.Fetch && n.State == report.Running && n.Percent()-d.told[n.MAC] >= progressStep:
		d.told[n.MAC] = n.Percent()
		fmt.Fprintf(w, "%s %-15s %3.0f %% of %s, %.1f MB/s, %d peers\n", n.MAC, n.IP, n.Percent(), n.System, float64(n.Down)/1e6, n.Peers)
	case same:
	case n.State == report.Failed:
		fmt.Fprintf(w, "%s %-15s %s failed: %s\n", n.MAC, n.IP, n.Step, n.Error)
	case n.Step == report.Launch && n.State == report.Done:
		fmt.Fprintf(w, "%s %-15s has started %s, %.0f s after its kernel\n", n.MAC, n.IP, n.System, n.Uptime)
	default:
		fmt.Fprintf(w, "%s %-15s %s %s\n", n.MAC, n.IP, n.Step, n.State)
	}
}

func (d *demo) launched() int {
	n := 0
	for _, node := range d.last {
		if node.Step == report.Launch && node.State == report.Done {
			n++
		}
	}
	return n
}

// watchPlain prints what the nodes report until all have launched.
func (d *demo) watchPlain(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, d.deadline)
	defer cancel()
	fmt.Printf("The seeder is %s. With nobody at the consoles, the nodes start the default system by themselves.\n", d.seeder.Base)
	if d.follow(limited, os.Stdout) || ctx.Err() != nil {
		return nil
	}
	for _, n := range d.nodes {
		fmt.Printf("The console of %s ends with:\n%s\n", n.Config.Name, n.Console().Tail(12))
	}
	return fmt.Errorf("%d of %d machines have started a system within %s", d.launched(), len(d.nodes), d.deadline)
}

// table prints what came from whom.
func (d *demo) table(w io.Writer) { table(w, slices.Collect(maps.Values(d.last)), d.link) }

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/fleet"
)

type logsCmd struct {
	Dir      string `arg:"" help:"The site directory."`
	Node     string `arg:"" optional:"" help:"A node: its MAC address, IP address or host name, or the beginning of one. Without it, all."`
	NoFollow bool   `help:"Print what there is, and end."`
	Previous bool   `help:"Print the log of a node's boot before the last one, and end."`
}

// Run prints what the nodes have sent of their logs, and what they send, until it is interrupted. It reads files, so it works
// while the seeder runs and while it doesn't.
func (c logsCmd) Run(ctx context.Context, term terminal) error {
	if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is not a directory; name that of a site", c.Dir)
	}
	w := &fleet.Follower{Dir: filepath.Join(c.Dir, site.StateDir, daemon.LogDir), Out: term.Out}
	nodes, err := fleet.Nodes(w.Dir)
	if err != nil {
		return err
	}
	if c.Node == "" && len(nodes) == 0 {
		fmt.Fprintln(term.Err, "no node has sent its log yet")
	}
	if c.Node != "" {
		node, err := fleet.Find(nodes, c.Node)
		if err != nil {
			return err
		}
		w.MAC = node.MAC
	}
	if c.Previous {
		return c.printPrevious(w.Dir, nodes, term)
	}
	if c.NoFollow {
		return w.Print()
	}
	return w.Follow(ctx)
}

// printPrevious prints the log of one node's boot before.
func (c logsCmd) printPrevious(dir string, nodes []fleet.Facts, term terminal) error {
	if c.Node == "" {
		return cli.UsageError{Err: errors.New("--previous needs the name of a node")}
	}
	node, err := fleet.Find(nodes, c.Node)
	if err != nil {
		return err
	}
	return fleet.PrintPrevious(term.Out, dir, node)
}

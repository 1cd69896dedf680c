package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/status"
)

type publishCmd struct {
	Dir   string   `arg:"" help:"The site directory."`
	Names []string `arg:"" name:"name" help:"The systems, by the names of their folders in oss/."`
}

// Run has the running seeder publish systems as they are now, and waits until they are stored.
func (c publishCmd) Run(ctx context.Context, term terminal) error {
	failed := false
	for _, name := range c.Names {
		s, err := daemon.Control{Dir: c.Dir}.Publish(ctx, name)
		switch {
		case errors.Is(err, daemon.ErrNotRunning):
			return fmt.Errorf("%w; start it with: "+self.Seeder()+" serve %s", err, cli.Quote(c.Dir))
		case err != nil:
			failed = true
			fmt.Fprintf(term.Err, "%s: %v\n", name, err)
		case s.State == status.Published && len(s.Problems) == 0:
			fmt.Fprintf(term.Out, "%s is published: %s\n", name, s.InfoHash)
		default:
			failed = true
			fmt.Fprintln(term.Err, describe(s))
		}
	}
	if failed {
		return cli.ErrReported
	}
	return nil
}

// describe is what a seeder says of a system, with its problems below.
func describe(s status.System) string {
	lines := append([]string{fmt.Sprintf("%s: %s", s.Name, s.Says())}, s.Problems...)
	return strings.Join(lines, "\n  ")
}

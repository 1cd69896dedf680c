package main

import (
	"context"
	"fmt"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/selftest"
)

type checkCmd struct {
	Dir      string `arg:"" help:"The site directory."`
	SiteOnly bool   `help:"Read the site's files alone, and test neither its image nor this machine and its network."`
}

// Run prints every problem of a site, and of this machine as the one that serves it.
func (c checkCmd) Run(ctx context.Context, term terminal) error {
	s, err := load(c.Dir, term)
	if err != nil {
		return err
	}
	n := len(s.AllProblems())
	if !c.SiteOnly {
		found := daemon.SelfTest(ctx, s)
		for _, f := range found {
			fmt.Fprintln(term.Err, f)
		}
		n += selftest.Problems(found)
	}
	if n > 0 {
		fmt.Fprintf(term.Err, "%s: %s; without what they concern, the site %q can be served: %s\n", c.Dir, count(n, "problem"), s.Name, count(len(s.Systems), "system"))
		return cli.ErrReported
	}
	_, err = fmt.Fprintf(term.Out, "%s: the site %q is in order: %s\n", c.Dir, s.Name, count(len(s.Systems), "system"))
	return err
}

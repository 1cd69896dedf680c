package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/site"
)

type migrateCmd struct {
	Dir string `arg:"" help:"The site directory of the original BootTorrent."`
}

// Run writes boottorrent.yaml beside Boottorrent.yaml and says what became of each key.
func (c migrateCmd) Run(term terminal) error {
	changes, err := site.Migrate(c.Dir)
	if problems := (site.Problems)(nil); errors.As(err, &problems) {
		fmt.Fprintf(term.Err, "%v\n%s: %s\n", problems, c.Dir, count(len(problems), "problem"))
		return cli.ErrReported
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "%s is written; Boottorrent.yaml stays, and is no longer read. The systems in %s/ need no change.\n", site.ConfigFile, site.SystemsDir)
	t := tabwriter.NewWriter(term.Out, 2, 8, 2, ' ', 0)
	for _, change := range changes {
		fmt.Fprintf(t, "  %s\t%s\n", change.Old, change.New)
	}
	return t.Flush()
}

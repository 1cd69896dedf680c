package command

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/promote"
)

type promoteCmd struct {
	Dir     string   `arg:"" help:"The mirror's directory. No seeder may be serving it."`
	Key     string   `required:"" type:"existingfile" help:"The site's secret key, boottorrent.key."`
	Without []string `placeholder:"SYSTEM" help:"Go on without this system, as its files are not here. Can be given several times."`
}

// Run makes a site of a mirror.
func (c promoteCmd) Run(ctx context.Context, term terminal) error {
	r, err := promote.Run(ctx, promote.Options{
		Dir: c.Dir, Key: c.Key, State: daemon.MirrorDir, Without: c.Without, Log: slog.New(slog.NewTextHandler(term.Err, nil)),
		Progress: func(system string) { fmt.Fprintln(term.Out, "reading the files of", system) },
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "%s is the site %q now: %s. Its catalogs go on from the counter %d.\n", c.Dir, r.Site, text.Count(r.Systems, "system"), r.Counter)
	for _, n := range r.Notes {
		fmt.Fprintln(term.Out, "note:", n)
	}
	_, err = fmt.Fprintf(term.Out, "Next: see that the seeder before never serves again, then\n  %s serve %s\n", self.Seeder(), cli.Quote(c.Dir))
	return err
}

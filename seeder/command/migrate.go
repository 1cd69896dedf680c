package command

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
)

type migrateCmd struct {
	Dir string `arg:"" help:"The site directory of the original BootTorrent."`
}

// Run writes boottorrent.yaml beside Boottorrent.yaml and says what became of each key.
func (c migrateCmd) Run(term terminal) error {
	m, err := site.Migrate(c.Dir)
	if problems := (site.Problems)(nil); errors.As(err, &problems) {
		fmt.Fprintf(term.Err, "%v\n%s: %s\n", err, c.Dir, text.Count(len(problems), "problem"))
		return cli.ErrReported
	}
	if err != nil {
		return err
	}
	if m.KeysMade {
		printKeysMade(term.Out)
	}
	fmt.Fprintf(term.Out, "%s is written. Boottorrent.yaml stays, and is no longer read; the systems in %s/ need no change.\n"+
		"What became of its keys:\n", m.File, site.SystemsDir)
	t := tabwriter.NewWriter(term.Out, 2, 8, 2, ' ', 0)
	for _, change := range m.Changes {
		now := change.Now
		switch {
		case change.Lost != "" && now != "":
			now += ": " + change.Lost
		case change.Lost != "":
			now = "no successor: " + change.Lost
		case now == "":
			now = "not needed: it is always so"
		}
		fmt.Fprintf(t, "  line %d\t%s: %s\t%s\n", change.At.Line, change.Key, change.Value, now)
	}
	return t.Flush()
}

// printKeysMade says that a site has got its keys.
func printKeysMade(w io.Writer) {
	fmt.Fprintf(w, "%s and %s are made, with which the catalog is signed; keep them, and the first one secret\n",
		site.SecretKeyFile, site.PublicKeyFile)
}

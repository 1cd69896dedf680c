package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/site"
	mkimage "github.com/boottorrent/boottorrent/mkimage/command"
	seeder "github.com/boottorrent/boottorrent/seeder/command"
	"github.com/boottorrent/boottorrent/seeder/selftest"
)

// startCmd is what the original BootTorrent had in this place: one command in the site's folder, after which machines can be switched on.
type startCmd struct {
	Dir string `arg:"" optional:"" default:"." help:"The site directory. Default: the folder in which you are."`
}

// Run builds the image where machines could not start with the one there is, and serves until it is interrupted.
func (c startCmd) Run(ctx context.Context, term cli.Terminal) error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	if s, _ := site.Load(dir); s != nil { // of one that can't be read serving tells
		if stale := selftest.Image(s); len(stale) > 0 {
			fmt.Fprintf(term.Out, "What machines start is built, as %s\n", stale[0].What)
			if err := mkimage.Build(ctx, term, dir); err != nil {
				return err
			}
		}
	}
	return seeder.Serve(ctx, term, dir)
}

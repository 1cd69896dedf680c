package peer

import (
	"context"

	"github.com/boottorrent/boottorrent/integration/bench/anacrolix"
)

// seedBare gives away with the library that this project's engine is built on, as it is without anything of ours.
func seedBare(ctx context.Context, j Job) error {
	p, err := anacrolix.New(j.listen(), j.Dir)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Seed(ctx, j.Torrent); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func fetchBare(ctx context.Context, j Job, begin func() error, done func()) error {
	p, err := anacrolix.New(j.listen(), j.Dir)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := begin(); err != nil {
		return err
	}
	if err := p.Fetch(ctx, j.Torrent); err != nil {
		return err
	}
	done()
	<-ctx.Done()
	return nil
}

package main

import (
	"context"
	"net/netip"

	"github.com/boottorrent/boottorrent/integration/bench/anacrolix"
)

// bare is the library that boottorrent is built on, as it is without anything of ours.
type bare struct{}

func (bare) name() string                     { return "anacrolix" }
func (bare) needs() []dependency              { return nil }
func (bare) port() uint16                     { return btPort }
func (bare) seeder(p place) ([]string, error) { return self("anacrolix", roleSeeder, p) }
func (bare) node(p place) ([]string, error)   { return self("anacrolix", roleNode, p) }

func (bare) seed(ctx context.Context, j job) error {
	p, err := anacrolix.New(netip.AddrPortFrom(j.Addr, btPort), j.Dir)
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

func (bare) fetch(ctx context.Context, j job, begin func() error, done func()) error {
	p, err := anacrolix.New(netip.AddrPortFrom(j.Addr, btPort), j.Dir)
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

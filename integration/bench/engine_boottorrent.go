package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"

	"github.com/boottorrent/boottorrent/internal/swarm"
)

// boottorrent is this project's engine, used as seeder and nodes use it: nodes know the tracker, and it tells them of
// the seeder. A node is done when also the SHA-256 of its files is verified, which no other engine does.
type boottorrent struct{}

func (boottorrent) name() string                     { return "boottorrent" }
func (boottorrent) needs() []dependency              { return nil }
func (boottorrent) port() uint16                     { return btPort }
func (boottorrent) seeder(p place) ([]string, error) { return self("boottorrent", roleSeeder, p) }
func (boottorrent) node(p place) ([]string, error)   { return self("boottorrent", roleNode, p) }
func (boottorrent) seed(ctx context.Context, j job) error {
	e, torrent, err := j.open()
	if err != nil {
		return err
	}
	if _, err := e.Seed(torrent, j.Dir); err != nil {
		return err
	}
	<-ctx.Done()
	return e.Close()
}

func (boottorrent) fetch(ctx context.Context, j job, begin func() error, done func()) error {
	e, torrent, err := j.open()
	if err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	src := swarm.Source{Torrent: torrent, System: j.System, Files: j.Files, Dir: j.Dir, Trackers: []string{j.Tracker}}
	if err := e.Fetch(ctx, src, nil); err != nil {
		return err
	}
	done()
	<-ctx.Done()
	return e.Close()
}

// open makes the project's engine and reads the torrent.
func (j job) open() (*swarm.Engine, []byte, error) {
	torrent, err := os.ReadFile(j.Torrent)
	if err != nil {
		return nil, nil, err
	}
	cfg := swarm.Config{Listen: netip.AddrPortFrom(j.Addr, btPort)}
	if j.Role == roleNode {
		cfg.Seeders = []netip.Addr{j.Seeder}
	}
	e, err := swarm.New(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("start BitTorrent on %s: %w", cfg.Listen, err)
	}
	return e, torrent, nil
}

package peer

import (
	"context"
	"fmt"
	"net/netip"
	"os"

	"github.com/boottorrent/boottorrent/internal/swarm"
)

// seed gives away with this project's engine.
func seed(ctx context.Context, j Job) error {
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

// fetch uses this project's engine as nodes do: it knows the tracker, which tells it of the seeder. It is done when also the SHA-256 of
// the files is verified, which no other engine does.
func fetch(ctx context.Context, j Job, begin func() error, done func()) error {
	swarm.FitProcessors(ctx)
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
func (j Job) open() (*swarm.Engine, []byte, error) {
	torrent, err := os.ReadFile(j.Torrent)
	if err != nil {
		return nil, nil, err
	}
	cfg := swarm.Config{Listen: j.listen()}
	if j.Role == Node {
		cfg.Seeders = []swarm.Seeder{{Torrent: netip.AddrPortFrom(j.Seeder, 0)}}
	}
	e, err := swarm.New(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("start BitTorrent on %s: %w", cfg.Listen, err)
	}
	return e, torrent, nil
}

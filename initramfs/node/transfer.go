package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// Fetch downloads a system from the swarm, and the runtime that it needs. It is refused before it starts when memory can't
// hold the system and what starting it takes.
func (n *Node) Fetch(ctx context.Context, sys catalog.System) error {
	n.download.stopEngine() // of an earlier system, or with the addresses of an earlier try
	if err := n.download.claim(); err != nil {
		return err
	}
	err := n.fetchAll(ctx, sys)
	if err != nil {
		n.download.stopEngine()
		n.download.release()
	}
	return err
}

// Folder is where the files of a fetched system are.
func (n *Node) Folder(sys catalog.System) string { return n.download.folder(sys) }

// fetchAll is Fetch once the folder of systems is this program's.
func (n *Node) fetchAll(ctx context.Context, sys catalog.System) error {
	wanted := []catalog.System{sys}
	if r, ok := n.download.runtime(sys); ok {
		wanted = []catalog.System{r.System, sys}
	}
	if err := n.download.forget(wanted...); err != nil {
		return err
	}
	if err := n.preflight(ctx, sys); err != nil {
		return err
	}
	if err := n.download.startEngine(); err != nil {
		return err
	}
	for _, w := range wanted {
		if err := n.fetch(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// stale makes of an answer that a version is gone that the catalog is an old one.
func stale(err error) error {
	if errors.Is(err, client.ErrGone) {
		return fmt.Errorf("%w: %w", boot.ErrStale, err)
	}
	return err
}

// fetch downloads a system or a runtime.
func (n *Node) fetch(ctx context.Context, sys catalog.System) error {
	files, err := n.download.files(ctx, sys)
	if err != nil {
		return err
	}
	torrent, err := n.download.torrent(ctx, sys)
	if err != nil {
		return err
	}
	n.download.account(swarm.Stats{})
	n.Report.Set(func(r *wire.Report) { r.System, r.InfoHash = sys.Name, sys.InfoHash.String() })
	return n.receive(ctx, sys, files, torrent)
}

// receive fetches the system under its screen.
func (n *Node) receive(ctx context.Context, sys catalog.System, files catalog.FileList, torrent []byte) error {
	src := swarm.Source{
		Torrent: torrent, System: sys, Files: files, Dir: n.download.dir(sys),
		Trackers: n.session.fromSeeder(n.session.catalog.Trackers, catalog.PathAnnounce),
		WebSeeds: []string{n.session.client().Base + catalog.WebSeedPath(sys.InfoHash)},
	}
	began := time.Now()
	var last swarm.Stats
	err := n.withScreen(ctx, sys, func(ctx context.Context, show func(menu.TransferMsg)) error {
		show(menu.TransferMsg{Phase: menu.Fetch, System: sys.Title, Transfer: wire.Transfer{Size: sys.ToFetch()}})
		return n.download.engine.Fetch(ctx, src, func(s swarm.Stats) {
			last = s
			n.download.account(s)
			m := message(menu.Fetch, sys, s)
			m.Note = cmp.Or(n.link.lost(), m.Note)
			show(m)
		})
	})
	if err == nil {
		n.Log("fetched %s: %s", sys.Title, summary(last, time.Since(began)))
	}
	return err
}

func (n *Node) preflight(ctx context.Context, sys catalog.System) error {
	method, err := launch.For(sys, n.session.catalog)
	if err != nil {
		return err
	}
	files, err := n.download.files(ctx, sys)
	if err != nil {
		return err
	}
	room, err := launch.RoomAt(n.Systems)
	if err != nil {
		return err
	}
	dirs := []string{n.download.dir(sys)}
	if r, ok := n.download.runtime(sys); ok {
		dirs = append(dirs, n.download.dir(r.System))
	}
	for _, dir := range dirs {
		bytes, inodes := onDisk(dir)
		room.Memory += bytes + inodes*launch.InodeMemory
		if room.Inodes >= 0 {
			room.Inodes += inodes
		}
	}
	return launch.Preflight(sys, files, method, room)
}

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

// Folder is where the files of a fetched system are, or of its boot part if that comes first.
func (n *Node) Folder(sys catalog.System) string {
	if other, err := n.otherKernel(sys); err == nil && other {
		if part, err := n.bootPart(sys); err == nil {
			return n.download.folder(part.System)
		}
	}
	return n.download.folder(sys)
}

// fetchAll is Fetch once the folder of systems is this program's.
func (n *Node) fetchAll(ctx context.Context, sys catalog.System) error {
	if refusal := n.refuses(sys); refusal != nil {
		return fmt.Errorf("%w: %w", boot.ErrRefused, refusal)
	}
	if sys.Launch.Method == catalog.MethodLocal {
		return n.fetchDisks(ctx, sys)
	}
	wanted, err := n.wanted(sys)
	if err != nil {
		return err
	}
	if err := n.download.forget(append(wanted, sys)...); err != nil {
		return err
	}
	if err := n.preflight(ctx, sys); err != nil {
		return err
	}
	if getsFiles(sys) {
		if _, err := n.machineArchives(ctx); err != nil {
			return err
		}
	}
	if err := n.download.startEngine(); err != nil {
		return err
	}
	if err := n.giveHanded(); err != nil {
		n.Log("the boot part is given away no longer: %v", err)
	}
	for _, w := range wanted {
		if err := n.fetch(ctx, sys.Name, w); err != nil {
			return err
		}
	}
	return nil
}

// wanted is what a system needs next: it and its runtime, or its boot part, to start its kernel with.
func (n *Node) wanted(sys catalog.System) ([]catalog.System, error) {
	other, err := n.otherKernel(sys)
	if err != nil {
		return nil, err
	}
	if other {
		part, err := n.bootPart(sys)
		return []catalog.System{part.System}, err
	}
	if r, ok := n.download.runtime(sys); ok {
		return []catalog.System{r.System, sys}, nil
	}
	return []catalog.System{sys}, nil
}

// stale makes of an answer that a version is gone that the catalog is an old one.
func stale(err error) error {
	if errors.Is(err, client.ErrGone) {
		return fmt.Errorf("%w: %w", boot.ErrStale, err)
	}
	return err
}

// fetch downloads a system, or a runtime or boot part for one, whose name the report has.
func (n *Node) fetch(ctx context.Context, name string, sys catalog.System) error {
	files, err := n.download.files(ctx, sys)
	if err != nil {
		return err
	}
	torrent, err := n.download.torrent(ctx, sys)
	if err != nil {
		return err
	}
	n.download.account(swarm.Stats{})
	n.Report.Set(func(r *wire.Report) { r.System, r.InfoHash = name, sys.InfoHash.String() })
	return n.receive(ctx, sys, files, torrent)
}

// receive fetches the system under its screen.
func (n *Node) receive(ctx context.Context, sys catalog.System, files catalog.FileList, torrent []byte) error {
	src := swarm.Source{
		Torrent: torrent, System: sys, Files: files, Dir: n.download.dir(sys),
	}
	began := time.Now()
	var last swarm.Stats
	fetch := func(ctx context.Context, show func(menu.TransferMsg)) error {
		show(menu.TransferMsg{Phase: menu.Fetch, System: sys.Title, Transfer: wire.Transfer{Size: sys.ToFetch()}})
		return n.download.engine.Fetch(ctx, src, func(s swarm.Stats) {
			last = s
			n.download.account(s)
			m := message(menu.Fetch, sys, s)
			m.Note = cmp.Or(n.link.lost(), m.Note)
			show(m)
		})
	}
	err := n.withScreen(ctx, sys, fetch)
	for range catalog.MaxSeeders { // what has come and is right stays
		if spoiled := (*swarm.SpoiledError)(nil); !errors.As(err, &spoiled) || !n.session.Refuse(ctx, spoiled) {
			break
		}
		err = n.withScreen(ctx, sys, fetch)
	}
	n.download.took = time.Since(began)
	if err == nil {
		n.Log("fetched %s: %s", sys.Title, summary(last, n.download.took))
	}
	return err
}

// memoryFor is what says whether there is room for a system, and for starting its kernel first, if it needs that.
func (n *Node) memoryFor(ctx context.Context, sys catalog.System) (fits, error) {
	method, err := launch.For(sys, n.session.catalog)
	if err != nil {
		return nil, err
	}
	files, err := n.download.files(ctx, sys)
	if err != nil {
		return nil, err
	}
	here := []catalog.System{sys}
	if r, ok := n.download.runtime(sys); ok {
		here = append(here, r.System)
	}
	room, err := n.room(here...)
	if err != nil {
		return nil, err
	}
	method = n.withFiles(method, sys)
	fits := func(less int64) error { return launch.Preflight(sys, files, method, room.Less(less)) }
	other, err := n.otherKernel(sys)
	if err != nil || !other {
		return fits, err
	}
	part, err := n.bootPart(sys)
	if err != nil {
		return nil, err
	}
	if !n.session.catalog.Defaults.LeaveAtStart {
		method = launch.Keeping{Method: method, Beside: launch.Part{What: "its kernel, to give it away", Bytes: part.Size}}
	}
	kernelFits, err := n.memoryForKernel(ctx, sys, part)
	return func(less int64) error {
		if err := fits(less); err != nil {
			return err
		}
		return kernelFits(less)
	}, err
}

// room is what the node has for systems, parts of which may be here already.
func (n *Node) room(systems ...catalog.System) (launch.Room, error) {
	room, err := launch.RoomAt(n.Systems)
	if err != nil {
		return room, err
	}
	for _, s := range systems {
		bytes, inodes := onDisk(n.download.dir(s))
		room.Memory += bytes + inodes*launch.InodeMemory
		if room.Inodes >= 0 {
			room.Inodes += inodes
		}
	}
	return room, nil
}

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// Fetch downloads a system from the swarm, and the runtime that it needs. It is refused before it starts when memory can't
// hold the system and what starting it takes.
func (n *Node) Fetch(ctx context.Context, sys catalog.System) error {
	n.stopEngine() // of an earlier system, or with the addresses of an earlier try
	if err := n.claim(); err != nil {
		return err
	}
	err := n.fetchAll(ctx, sys)
	if err != nil {
		n.stopEngine()
		n.release()
	}
	return err
}

// fetchAll is Fetch once the folder of systems is this program's.
func (n *Node) fetchAll(ctx context.Context, sys catalog.System) error {
	wanted := []catalog.System{sys}
	if r, ok := n.runtime(sys); ok {
		wanted = []catalog.System{r.System, sys}
	}
	if err := n.forget(wanted...); err != nil {
		return err
	}
	if err := n.preflight(ctx, sys); err != nil {
		return err
	}
	if err := n.startEngine(); err != nil {
		return err
	}
	for _, w := range wanted {
		if err := n.fetch(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// runtime is what a system needs beside its files, if it needs something that the catalog has.
func (n *Node) runtime(sys catalog.System) (catalog.Runtime, bool) {
	if q := sys.Launch.QEMU; q != nil {
		return n.catalog.Runtime(q.Runtime)
	}
	return catalog.Runtime{}, false
}

// files is the list of a system's files. It is fetched once, since the seeder may be gone when the system is started.
func (n *Node) files(ctx context.Context, sys catalog.System) (catalog.FileList, error) {
	if files, ok := n.lists[sys.InfoHash]; ok {
		return files, nil
	}
	files, err := n.client().Files(ctx, sys)
	if err != nil {
		return nil, stale(err)
	}
	n.lists[sys.InfoHash] = files
	return files, nil
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
	files, err := n.files(ctx, sys)
	if err != nil {
		return err
	}
	torrent, err := n.client().Torrent(ctx, sys.InfoHash)
	if err != nil {
		return stale(err)
	}
	n.account(swarm.Stats{})
	n.Report.Set(func(r *wire.Report) { r.System, r.InfoHash = sys.Name, sys.InfoHash.String() })
	return n.download(ctx, sys, files, torrent)
}

// download fetches the system under its screen.
func (n *Node) download(ctx context.Context, sys catalog.System, files catalog.FileList, torrent []byte) error {
	src := swarm.Source{
		Torrent: torrent, System: sys, Files: files, Dir: n.dir(sys),
		Trackers: n.fromSeeder(n.catalog.Trackers, catalog.PathAnnounce),
		WebSeeds: []string{n.client().Base + catalog.WebSeedPath(sys.InfoHash)},
	}
	began := time.Now()
	var last swarm.Stats
	err := n.withScreen(ctx, sys, func(ctx context.Context, show func(menu.TransferMsg)) error {
		show(menu.TransferMsg{Phase: menu.Fetch, System: sys.Title, Transfer: wire.Transfer{Size: sys.ToFetch()}})
		return n.engine.Fetch(ctx, src, func(s swarm.Stats) {
			last = s
			n.account(s)
			m := message(menu.Fetch, sys, s)
			m.Note = cmp.Or(n.linkLost(), m.Note)
			show(m)
		})
	})
	if err == nil {
		n.Log("fetched %s: %s", sys.Title, summary(last, time.Since(began)))
	}
	return err
}

// linkLost says so if it is; otherwise it is empty.
func (n *Node) linkLost() string {
	l := n.lease()
	if !l.Addr.IsValid() || network.Alive(l) {
		return ""
	}
	return l.Interface + " has lost its link or its address: is the cable plugged in?"
}

// dir is the folder that holds the system's folder.
func (n *Node) dir(sys catalog.System) string { return filepath.Join(n.Systems, sys.InfoHash.String()) }

// Folder is where the files of a fetched system are.
func (n *Node) Folder(sys catalog.System) string { return filepath.Join(n.dir(sys), sys.Name) }

// forget removes everything that was fetched but these, and what an earlier system wrote: its memory is needed.
func (n *Node) forget(but ...catalog.System) error {
	if err := n.clearScratch(); err != nil {
		return err
	}
	maps.DeleteFunc(n.lists, func(h catalog.InfoHash, _ catalog.FileList) bool {
		return !slices.ContainsFunc(but, func(s catalog.System) bool { return s.InfoHash == h })
	})
	entries, err := os.ReadDir(n.Systems)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list fetched systems: %w", err)
	}
	for _, e := range entries {
		if slices.ContainsFunc(but, func(s catalog.System) bool { return s.InfoHash.String() == e.Name() }) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(n.Systems, e.Name())); err != nil {
			return fmt.Errorf("make room: %w", err)
		}
	}
	return nil
}

func (n *Node) preflight(ctx context.Context, sys catalog.System) error {
	method, err := launch.For(sys, n.catalog)
	if err != nil {
		return err
	}
	files, err := n.files(ctx, sys)
	if err != nil {
		return err
	}
	free, err := launch.Available()
	if err != nil {
		return err
	}
	free += onDisk(n.dir(sys))
	if r, ok := n.runtime(sys); ok {
		free += onDisk(n.dir(r.System))
	}
	return launch.Preflight(sys, files, method, free)
}

// onDisk is how many bytes of memory an earlier, interrupted download below dir takes already. Holes take none.
func onDisk(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil && d.Type().IsRegular() && unix.Lstat(path, &st) == nil {
			sum += st.Blocks * 512
		}
		return nil // what can't be looked at is taken for nothing, which errs on the safe side
	})
	return sum
}

package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// torrentPort is where nodes listen for each other (TCP).
const torrentPort = 6881

// Fetch downloads a system from the swarm. It is refused before it starts when memory can't hold the system and what
// starting it takes.
func (n *Node) Fetch(ctx context.Context, sys catalog.System) error {
	if err := n.forget(sys); err != nil {
		return err
	}
	if err := n.preflight(sys); err != nil {
		return err
	}
	torrent, err := n.client().Torrent(ctx, sys.InfoHash)
	if errors.Is(err, client.ErrGone) {
		return fmt.Errorf("%w: %w", boot.ErrStale, err)
	}
	if err != nil {
		return err
	}
	if err := n.startEngine(); err != nil {
		return err
	}
	src := swarm.Source{
		Torrent: torrent, System: sys, Dir: n.dir(sys),
		Trackers: n.fromSeeder(n.catalog.Trackers, catalog.PathAnnounce),
		WebSeeds: n.webSeeds(sys),
	}
	n.Report.Set(func(r *wire.Report) { r.System, r.InfoHash = sys.Name, sys.InfoHash.String() })
	return n.withScreen(ctx, sys, func(ctx context.Context, show func(menu.TransferMsg)) error {
		return n.engine.Fetch(ctx, src, func(s swarm.Stats) {
			n.account(s)
			show(message(menu.Fetch, sys, s))
		})
	})
}

// Seed gives the system to others for some seconds, or until somebody presses a key.
func (n *Node) Seed(ctx context.Context, sys catalog.System, seconds int) error {
	if seconds <= 0 || n.engine == nil {
		return nil
	}
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	return n.withScreen(ctx, sys, func(ctx context.Context, show func(menu.TransferMsg)) error {
		tick := time.NewTicker(time.Second / 2)
		defer tick.Stop()
		for left := time.Until(end); left > 0; left = time.Until(end) {
			if s, ok := n.engine.Stats(sys.InfoHash); ok {
				n.account(s)
				m := message(menu.Seed, sys, s)
				m.SeedLeft = left
				show(m)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		return nil
	})
}

// dir is the folder that holds the system's folder.
func (n *Node) dir(sys catalog.System) string { return filepath.Join(n.Systems, sys.InfoHash.String()) }

// forget removes every other system that was fetched: its memory is needed.
func (n *Node) forget(sys catalog.System) error {
	entries, err := os.ReadDir(n.Systems)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list fetched systems: %w", err)
	}
	for _, e := range entries {
		if e.Name() == sys.InfoHash.String() {
			continue
		}
		var h catalog.InfoHash
		if h.UnmarshalText([]byte(e.Name())) == nil && n.engine != nil {
			n.engine.Remove(h)
		}
		if err := os.RemoveAll(filepath.Join(n.Systems, e.Name())); err != nil {
			return fmt.Errorf("make room: %w", err)
		}
	}
	return nil
}

func (n *Node) preflight(sys catalog.System) error {
	method, err := launch.For(sys)
	if err != nil {
		return err
	}
	free, err := launch.Available()
	if err != nil {
		return err
	}
	return launch.Preflight(sys, method, free+onDisk(n.dir(sys)))
}

// onDisk is how many bytes an earlier, interrupted download left below dir: memory that is taken already.
func onDisk(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if size, err := allocated(d); err == nil {
			sum += size
		}
		return nil
	})
	return sum
}

func (n *Node) startEngine() error {
	if n.engine != nil {
		return nil
	}
	seeder, err := n.seeder()
	if err != nil {
		return err
	}
	engine, err := swarm.New(swarm.Config{
		Listen: netip.AddrPortFrom(n.lease.Addr.Addr(), torrentPort), Seeders: []netip.Addr{seeder}, Log: n.slog(),
	})
	if err != nil {
		return fmt.Errorf("start BitTorrent on %s: %w", n.lease.Addr.Addr(), err)
	}
	n.engine = engine
	return nil
}

func (n *Node) stopEngine() {
	if n.engine != nil {
		n.engine.Close()
		n.engine = nil
	}
}

// fromSeeder puts the URL below the address at which this node found the seeder before those the catalog lists: of a
// seeder's several addresses, that one is known to answer.
func (n *Node) fromSeeder(listed []string, path string) []string {
	first := n.client().Base + path
	urls := []string{first}
	for _, u := range listed {
		if u != first {
			urls = append(urls, u)
		}
	}
	return urls
}

func (n *Node) webSeeds(sys catalog.System) []string {
	return []string{n.client().Base + catalog.WebSeedPath(sys.InfoHash)}
}

// account puts the numbers of a transfer into the report.
func (n *Node) account(s swarm.Stats) {
	n.Report.Set(func(r *wire.Report) {
		if s.Size > 0 {
			r.Percent = 100 * float64(s.Done) / float64(s.Size)
		}
		r.Down, r.Up, r.Peers = s.Down, s.Up, s.Peers
		r.FromSeeder, r.FromNodes, r.FromHTTP, r.Uploaded = s.FromSeeder, s.FromNodes, s.FromHTTP, s.Uploaded
	})
}

func message(phase menu.Phase, sys catalog.System, s swarm.Stats) menu.TransferMsg {
	if s.Verifying {
		phase = menu.Verify
	}
	return menu.TransferMsg{
		Phase: phase, System: sys.Title, Size: s.Size, Done: s.Done, Down: s.Down, Up: s.Up, Peers: s.Peers,
		FromSeeder: s.FromSeeder, FromNodes: s.FromNodes, FromHTTP: s.FromHTTP, Uploaded: s.Uploaded, Fallback: s.Fallback, Note: s.Trouble,
	}
}

// withScreen does work while the transfer screen shows what work tells it. It ends when the work does, or when a person
// ends it: nil for going on at once, boot.ErrCancelled for the chooser.
func (n *Node) withScreen(ctx context.Context, sys catalog.System, work func(context.Context, func(menu.TransferMsg)) error) error {
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	over, screenOver := context.WithCancel(ctx)
	defer screenOver()
	events := make(chan tea.Msg, 1)
	show := func(m menu.TransferMsg) {
		select {
		case events <- m:
		default: // the screen has not taken the last one yet; the next will be newer
		}
	}
	result := make(chan error, 1)
	go func() {
		result <- work(working, show)
		select {
		case events <- menu.TransferDone{}:
		case <-over.Done():
		}
	}()
	final, where, err := n.Consoles.Run(ctx, menu.NewTransfer(n.place(), sys.Title), events)
	screenOver()
	if where != "" {
		n.console = where
	}
	if err != nil && ctx.Err() == nil {
		n.Log("the screen failed, the work goes on: %v", err)
		return <-result
	}
	switch t, _ := final.(menu.Transfer); t.Outcome() {
	case menu.Cancel:
		stopWork()
		<-result
		return boot.ErrCancelled
	case menu.Skip:
		stopWork()
		<-result
		return nil
	}
	return <-result
}

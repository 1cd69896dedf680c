package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// download is what is fetched and given away: the folder of systems with the lock on it, the lists of their files, BitTorrent, and
// the numbers of it in the report.
type download struct {
	log     func(format string, args ...any)
	report  *report.Reporter
	link    *link
	session *session
	// systems is the folder that systems are fetched into, port where nodes listen for each other.
	systems   string
	port      uint16
	engineLog *slog.Logger

	// engine runs from Fetch until the node is left, or fetches something else.
	engine *swarm.Engine
	// detach ends that the engine is told of other seeders.
	detach func()
	// claimed is the folder of systems, while it is this program's.
	claimed *os.File
	// took is how long the last fetch took.
	took time.Duration
	// lists are of what is fetched.
	lists map[catalog.InfoHash]catalog.FileList
	// ahead has what the seeder was asked for before it was needed.
	ahead ahead
	// archives are the files for this machine.
	archives archives
	// limits are shared by all engines of this node.
	limits sharedLimits
	// stopAccounting ends what startAccounting began.
	stopAccounting func()
}

func newDownload(cfg Config, l *link, s *session) *download {
	return &download{
		log: cfg.Log, report: cfg.Report, link: l, session: s, systems: cfg.Systems, port: cfg.Port,
		engineLog: engineLog(cfg), lists: map[catalog.InfoHash]catalog.FileList{}, stopAccounting: func() {},
	}
}

// runtime is what a system needs beside its files, if it needs something that the catalog has.
func (d *download) runtime(sys catalog.System) (catalog.Runtime, bool) {
	if q := sys.Launch.QEMU; q != nil {
		return d.session.catalog.Runtime(q.Runtime)
	}
	return catalog.Runtime{}, false
}

// files is the list of a system's files. It is fetched once, since the seeder may be gone when the system is started.
func (d *download) files(ctx context.Context, sys catalog.System) (catalog.FileList, error) {
	if files, ok := d.lists[sys.InfoHash]; ok {
		return files, nil
	}
	files, err := served(ctx, d, sys, func(ctx context.Context, from *client.Client) (catalog.FileList, error) {
		return from.Files(ctx, sys)
	}, func(p metadata) catalog.FileList { return p.files })
	if err != nil {
		return nil, err
	}
	d.lists[sys.InfoHash] = files
	return files, nil
}

// torrent is a system's metainfo file.
func (d *download) torrent(ctx context.Context, sys catalog.System) ([]byte, error) {
	files, err := d.files(ctx, sys)
	if err != nil {
		return nil, err
	}
	return served(ctx, d, sys, func(ctx context.Context, from *client.Client) ([]byte, error) {
		return torrentFrom(ctx, from, sys, files)
	}, func(p metadata) []byte { return p.torrent })
}

// dir is the folder that holds the system's folder.
func (d *download) dir(sys catalog.System) string {
	return filepath.Join(d.systems, sys.InfoHash.String())
}

// folder is where the files of a fetched system are.
func (d *download) folder(sys catalog.System) string { return filepath.Join(d.dir(sys), sys.Name) }

// forget removes everything that was fetched but these, and what an earlier system wrote: its memory is needed.
func (d *download) forget(but ...catalog.System) error {
	if err := d.clearScratch(); err != nil {
		return err
	}
	maps.DeleteFunc(d.lists, func(h catalog.InfoHash, _ catalog.FileList) bool {
		return !slices.ContainsFunc(but, func(s catalog.System) bool { return s.InfoHash == h })
	})
	entries, err := os.ReadDir(d.systems)
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
		if err := os.RemoveAll(filepath.Join(d.systems, e.Name())); err != nil {
			return fmt.Errorf("make room: %w", err)
		}
	}
	return nil
}

// errClaimed says that the systems on this node are in other hands.
var errClaimed = errors.New("another program of this node (boot, as a rule) is fetching a system, running it or giving it away, " +
	"and this would take its files: end that first, or use the shell that the chooser or a failure offers (s)")

// claim makes this program the one that fills and clears the folder of systems, until release is called or it ends (flock(2)).
// Otherwise a step by hand, in the second console or by ssh, could take away what boot runs or gives to others.
func (d *download) claim() error {
	if d.claimed != nil {
		return nil
	}
	if err := os.MkdirAll(d.systems, 0o755); err != nil {
		return fmt.Errorf("make the folder of systems: %w", err)
	}
	dir, err := os.Open(d.systems)
	if err != nil {
		return fmt.Errorf("open the folder of systems: %w", err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errClaimed
		}
		return fmt.Errorf("lock the folder of systems %s: %w", d.systems, err)
	}
	d.claimed = dir
	return nil
}

// release ends the claim.
func (d *download) release() {
	if d.claimed != nil {
		d.claimed.Close()
		d.claimed = nil
	}
}

// startEngine starts BitTorrent with the addresses that the node and the seeder have now.
func (d *download) startEngine() error {
	own := d.link.lease().Addr.Addr()
	engine, err := swarm.New(swarm.Config{
		Listen: netip.AddrPortFrom(own, d.port), Seeders: d.session.Swarm(), Log: d.engineLog, Local: true,
		Limits: d.limits.set(d.session.catalog.Limits),
	})
	if err != nil {
		return fmt.Errorf("start BitTorrent on %s: %w", own, err)
	}
	d.engine, d.detach = engine, d.session.Attach(engine)
	return nil
}

// stopEngine stops it, if it runs. What was fetched stays where it is.
func (d *download) stopEngine() {
	if d.engine == nil {
		return
	}
	d.stopAccounting()
	d.detach()
	if err := d.engine.Close(); err != nil {
		d.log("BitTorrent did not stop cleanly: %v", err)
	}
	d.engine = nil
	d.report.Set(func(r *wire.Report) { r.Down, r.Up, r.Peers = 0, 0, 0 })
}

// accountTime is how often the numbers of seeding are reported while a system runs.
const accountTime = time.Second

// startAccounting reports how the seeding of a system goes until the engine is stopped: as long as it runs beside this
// program, and afterwards in the chooser too.
func (d *download) startAccounting(sys catalog.System) {
	d.stopAccounting()
	engine := d.engine
	if engine == nil {
		return
	}
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(accountTime)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				if s, ok := engine.Stats(sys.InfoHash); ok {
					d.account(s)
				}
			}
		}
	}()
	d.stopAccounting = func() {
		close(ended)
		<-stopped
		d.stopAccounting = func() {}
	}
}

// account puts the numbers of a transfer into the report.
func (d *download) account(s swarm.Stats) {
	var before wire.Transfer
	d.report.Set(func(r *wire.Report) { before, r.Transfer = r.Transfer, s.Transfer })
	d.session.Received(s.Transfer, before)
}

// scratch is where a running system writes.
func (d *download) scratch() string { return filepath.Join(d.systems, scratchDir) }

// clearScratch takes away what a system wrote, with what is still mounted there: a boot that was killed could not do it.
func (d *download) clearScratch() error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(d.scratch()))
	if err == nil {
		slices.Reverse(mounts) // what was mounted last goes first
		err = unmountAll(mounts)
	}
	if err == nil { // otherwise removing would be removing what is mounted
		err = os.RemoveAll(d.scratch())
	}
	if err != nil {
		return fmt.Errorf("clear up what an earlier system wrote: %w", err)
	}
	return nil
}

// onDisk is what an earlier, interrupted download below dir takes already: bytes of memory, of which holes take none, and inodes.
func onDisk(dir string) (bytes, inodes int64) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			inodes++
		}
		if err == nil && d.Type().IsRegular() && unix.Lstat(path, &st) == nil {
			bytes += st.Blocks * 512
		}
		return nil // what can't be looked at is taken for nothing, which errs on the safe side
	})
	return bytes, inodes
}

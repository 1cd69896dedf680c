package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/bootmanifest"
	"github.com/boottorrent/boottorrent/seeder/counter"
	"github.com/boottorrent/boottorrent/seeder/loaders"
	"github.com/boottorrent/boottorrent/seeder/mirror"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
	"github.com/boottorrent/boottorrent/seeder/upstream"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// Mirror says which seeders are mirrored, and what of it is kept.
type Mirror struct {
	Upstream []string // base URLs
	Key      minisign.PublicKey
	// Carry says whether a system's files are fetched before a machine wants them; Disk is what they may take, in bytes; 0: no bound.
	Carry func(system string) bool
	Disk  int64
	// Look is how often files are looked at for damages; zero: as often as is usual. Now is the clock; nil: time.Now.
	Look time.Duration
	Now  func() time.Time
	// Poll is how often a seeder is asked that can't wait, or does not answer; zero: as often as is usual.
	Poll time.Duration
}

// MirrorDir is the folder, below site.StateDir, of what a mirror keeps.
const MirrorDir = "mirror"

// mirrored is the feed of a mirror.
type mirrored struct {
	daemon *daemon
	dir    string
	// mirror is nil until its folder could be opened.
	mirror atomic.Pointer[mirror.Mirror]
	// unopened is why it could not be, in words.
	unopened atomic.Pointer[string]
	// upstream are the seeders that are followed, in the order of the configuration.
	upstream []*upstream.Seeder
	// changed tells that another catalog is served.
	changed chan struct{}
	// release is what is served; nil: nothing is yet.
	release atomic.Pointer[mirror.Release]
	ready   bool
	// offered are the images of phase 1 that nodes can be asked to give away.
	helping sync.Mutex
	offered []store.Version
}

// openMirrored opens what a mirror keeps. Boot loaders that are installed here are nobody's who signed them: only those that the site's key has
// signed are served.
func (d *daemon) openMirrored() (feed, error) {
	if err := os.MkdirAll(d.state, 0o755); err != nil { // nodes' history, logs and leases are kept in it
		d.Log.Error("the mirror's state can't be kept", "err", err)
	}
	d.loaders = loaders.At(d.Site.Dir, filepath.Join(d.state, "no-loaders-of-this-machine"))
	if err := os.MkdirAll(d.state, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the mirror's state: %w", err)
	}
	f := &mirrored{daemon: d, dir: filepath.Join(d.state, MirrorDir), changed: make(chan struct{}, 1)}
	d.boot.Signed = func(sum string) bool { m := f.mirror.Load(); return m != nil && m.Signed(sum) }
	for _, base := range d.Mirror.Upstream {
		f.upstream = append(f.upstream, &upstream.Seeder{Base: base, Key: d.Mirror.Key, Header: f.hello})
	}
	return f, nil
}

func (f *mirrored) attach(*counter.Counter) web.Manifest {
	return f
}

// Current and Last implement web.Manifest: the manifest is handed on as it was signed.
func (f *mirrored) Current() (bootmanifest.Signed, error) {
	r := f.release.Load()
	if r == nil {
		return bootmanifest.Signed{}, fmt.Errorf("the mirror has not heard the other seeder yet; %w", bootmanifest.ErrNotYet)
	}
	return bootmanifest.Signed{Document: r.Manifest.Document, Signature: r.Manifest.Signature}, nil
}

func (f *mirrored) Last() (bootmanifest.Signed, error) { return f.Current() }

// openTime is when to try again to open the mirror's folder.
const openTime = 5 * time.Second

// open opens the mirror's folder: at once, or as soon as that can be done.
func (f *mirrored) open(ctx context.Context) *mirror.Mirror {
	d := f.daemon
	cfg := mirror.Config{
		Dir: f.dir, Images: filepath.Join(d.Site.Dir, site.ImageDir), Key: d.Mirror.Key, Engine: d.sockets.engine,
		Upstream: f.upstream, Carry: d.Mirror.Carry, Disk: d.Mirror.Disk, Publish: f.take, Gone: f.gone, Log: d.Log, Look: d.Mirror.Look, Now: d.Mirror.Now, Poll: d.Mirror.Poll,
		Busy: func(h catalog.InfoHash) bool { _, incomplete := d.tracker.Swarm(h); return incomplete > 0 },
	}
	for {
		m, err := mirror.New(cfg)
		if err == nil {
			f.mirror.Store(m)
			return m
		}
		why := err.Error()
		if before := f.unopened.Swap(&why); before == nil || *before != why {
			d.Log.Error("the mirror's folder can't be used; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(openTime):
		}
	}
}

// run implements feed.
func (f *mirrored) run(ctx context.Context) (err error) {
	m := f.open(ctx)
	if m == nil {
		return nil
	}
	f.tellEngine(nil)
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { f.daemon.siblings.Follow(ctx, f.changed, f.readSeeders) })
	group.Go(func() { f.daemon.handOn.to.Run(ctx) })
	group.Go(func() { f.daemon.handOn.once.run(ctx) })
	group.Go(func() { f.offer(ctx) })
	m.Run(ctx)
	return m.Close()
}

// state is how the mirror stands.
func (f *mirrored) state() mirror.State {
	if m := f.mirror.Load(); m != nil {
		return m.State()
	}
	if why := f.unopened.Load(); why != nil {
		return mirror.State{Trouble: *why}
	}
	return mirror.State{Trouble: "it is starting"}
}

// waiting implements feed.
func (f *mirrored) waiting() string {
	for _, u := range f.upstream {
		at, err := netip.ParseAddrPort(strings.TrimPrefix(u.Base, "http://"))
		if err == nil && f.daemon.isOwn(at) {
			return u.Base + " is this mirror itself; name another seeder with upstream: in " + site.MirrorFile
		}
	}
	return "this mirror has nothing to serve yet (" + f.state().Trouble + ")"
}

// gone ends the serving of a version.
func (f *mirrored) gone(h catalog.InfoHash) {
	f.daemon.web.Retire(h)
	f.daemon.tracker.SetTorrents(f.mirror.Load().Torrents())
}

// take serves a release.
func (f *mirrored) take(r *mirror.Release) {
	d, cat := f.daemon, r.Catalog.Value
	s := *d.Site
	s.Name, s.UEFI = cat.Site, site.UEFIAuto
	if start := r.Manifest.Value.Start; start != nil {
		s.Original = start.Original
		if start.UEFI != "" {
			s.UEFI = site.UEFI(start.UEFI)
		}
	}
	s.Machines = nil
	for _, m := range cat.Rules.Machines {
		s.Machines = append(s.Machines, site.Machine{Machine: m})
	}
	slices.SortFunc(s.Machines, func(a, b site.Machine) int { return strings.Compare(a.MAC, b.MAC) })
	d.current.Store(&s)
	published := &web.Release{
		Site: cat.Site, Default: cat.Defaults.System, Counter: cat.Counter, Catalog: r.Catalog.Document, Signature: r.Catalog.Signature,
		Torrents: map[catalog.InfoHash]web.Torrent{}, MachineFiles: r.MachineFiles,
	}
	for _, v := range r.Versions {
		published.Torrents[v.System.InfoHash] = web.Torrent{Metainfo: v.Torrent, System: v.System, Files: v.Files, FileList: v.FileList, Dir: v.Dir, Whole: v.Whole}
	}
	d.tracker.SetTorrents(f.mirror.Load().Torrents())
	d.web.Publish(published)
	f.release.Store(r)
	f.offerHelp()
	select {
	case f.changed <- struct{}{}:
	default: // it is told already
	}
	if !f.ready {
		f.ready = true
		d.ready(cat)
	}
}

func (f *mirrored) close() {}

func (f *mirrored) catalog() *catalog.Catalog {
	if r := f.release.Load(); r != nil {
		return r.Catalog.Value
	}
	return nil
}

// start implements feed. Seeders older than the field don't say how phase 1 is started; then it is as for a site that says nothing.
func (f *mirrored) start() catalog.BootStart {
	if r := f.release.Load(); r != nil && r.Manifest.Value.Start != nil {
		return *r.Manifest.Value.Start
	}
	return startOf(f.daemon.Site)
}

func (f *mirrored) want(h catalog.InfoHash) { f.mirror.Load().Want(h) }

// move implements feed: what is signed names the addresses of the site's own seeder.
func (f *mirrored) move(context.Context, move) {}

func (f *mirrored) renew(context.Context) {}

func (f *mirrored) publish(context.Context, string) (status.System, error) {
	return status.System{}, errors.New(f.elsewhere())
}

// size implements feed.
func (f *mirrored) size() (size store.Size, err error) {
	size, err = store.SizeOf(f.dir)
	for _, v := range f.status().Systems {
		if v.State == status.Published {
			size.Versions++
		}
	}
	return size, err
}

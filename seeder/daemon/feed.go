package daemon

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/seeder/counter"
	"github.com/boottorrent/boottorrent/seeder/origin"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
	"github.com/boottorrent/boottorrent/seeder/watch"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// feed is where what is served comes from: the site's folder (follower), or another seeder (mirrored). Its methods but for attach, run and
// close may be called from any goroutine.
type feed interface {
	// attach gives it the parts of the daemon that it publishes to, which are there when run is called, and returns the boot manifest.
	attach(count *counter.Counter) web.Manifest
	// run publishes until ctx ends.
	run(ctx context.Context) error
	// close ends the use of what is kept; run has returned.
	close()
	// catalog is the one that is served; nil: none is yet. status is what became of each system.
	catalog() *catalog.Catalog
	status() status.Site
	// start is what boot scripts are made of.
	start() catalog.BootStart
	// waiting says in words why there is no catalog yet.
	waiting() string
	// want is told of each version that a machine wants.
	want(catalog.InfoHash)
	// move is told that the seeder has other addresses, renew that machines are to start something else the next time.
	move(context.Context, move)
	renew(context.Context)
	// publish publishes a system as it is now, and returns what became of it.
	publish(ctx context.Context, system string) (status.System, error)
	// size is what is kept of systems on the disk.
	size() (store.Size, error)
}

// openFeed opens what is kept of what the options name.
func (d *daemon) openFeed() (feed, error) {
	if d.Mirror != nil {
		return d.openMirrored()
	}
	st, err := store.Open(filepath.Join(d.state, "store"), d.Log)
	if err != nil {
		return nil, err
	}
	watcher, err := watch.New(d.Site.Dir, d.Quiet, d.Log)
	if err != nil {
		d.Log.Error("changes of the site are not noticed; say '"+self.Seeder()+" publish' when there are any", "err", err)
	}
	f := &follower{
		dir: d.Site.Dir, watcher: watcher, progress: d.Progress, orders: make(chan *order), done: make(chan outcome, 1), moves: make(chan move), renewed: make(chan struct{}),
		fetch: newFetcher(d.Site.Dir, st.Link, origin.New(d.Origins), d.Retry, d.Log),
		take:  d.take, ready: d.ready, retryAfter: cmp.Or(d.Retry, retryAfter),
		publisher: &publisher{
			log: d.Log, store: st, now: time.Now, listings: newListings(d.Log, time.Now), files: newMachineFiles(d.state, d.Log), seeding: map[catalog.InfoHash]*version{},
		},
	}
	return &siteFeed{f, d}, nil
}

// siteFeed is the follower of the daemon's site.
type siteFeed struct {
	site   *follower
	daemon *daemon
}

func (f *siteFeed) attach(count *counter.Counter) web.Manifest {
	d := f.daemon
	p := f.site.publisher
	p.engine, p.tracker, p.counter, p.next, p.helpers = d.sockets.engine, d.tracker, count, d.operator.next, d.helpers
	p.base, p.announce = d.urls(d.interfaces())
	return d.siteManifest(count)
}

func (f *siteFeed) run(ctx context.Context) error {
	f.site.web = f.daemon.web
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := f.site.watcher.Run(ctx); err != nil {
			f.site.log.Error("changes of the site are not noticed any more", "err", err) // it is served nevertheless
		}
		return nil
	})
	group.Go(func() error { return f.site.run(ctx, f.daemon.Site) })
	return group.Wait()
}

func (f *siteFeed) close()                    { f.site.store.Close() }
func (f *siteFeed) catalog() *catalog.Catalog { return f.site.shown.Load() }
func (f *siteFeed) start() catalog.BootStart  { return startOf(f.daemon.current.Load()) }
func (f *siteFeed) status() status.Site       { return f.site.status() }
func (f *siteFeed) waiting() string           { return "the seeder is still reading its site" }
func (f *siteFeed) want(catalog.InfoHash)     {} // everything is here
func (f *siteFeed) size() (store.Size, error) { return f.site.store.Size() }

func (f *siteFeed) move(ctx context.Context, m move) {
	select {
	case f.site.moves <- m:
	case <-ctx.Done():
	}
}

func (f *siteFeed) renew(ctx context.Context) {
	select {
	case <-ctx.Done():
	case f.site.renewed <- struct{}{}:
	}
}

func (f *siteFeed) publish(ctx context.Context, system string) (status.System, error) {
	o := &order{name: system, done: make(chan answer, 1)}
	select {
	case f.site.orders <- o:
	case <-ctx.Done():
		return status.System{}, ctx.Err()
	}
	select {
	case a := <-o.done:
		return a.status, a.err
	case <-ctx.Done():
		return status.System{}, ctx.Err()
	}
}

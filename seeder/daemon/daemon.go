// Package daemon puts the seeder together: it finds out where to serve, publishes the site, and runs DHCP, TFTP, HTTP,
// tracker and seed until its context ends. The protocols are packages of their own and know nothing of each other.
package daemon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/bootfiles"
	"github.com/boottorrent/boottorrent/seeder/counter"
	"github.com/boottorrent/boottorrent/seeder/fleet"
	"github.com/boottorrent/boottorrent/seeder/helpers"
	"github.com/boottorrent/boottorrent/seeder/history"
	"github.com/boottorrent/boottorrent/seeder/loaders"
	"github.com/boottorrent/boottorrent/seeder/local"
	"github.com/boottorrent/boottorrent/seeder/metrics"
	"github.com/boottorrent/boottorrent/seeder/page"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/siblings"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
	"github.com/boottorrent/boottorrent/seeder/tracker"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// Options say what to run.
type Options struct {
	Site *site.Site
	Log  *slog.Logger
	// Progress is told how far hashing is; may be nil.
	Progress store.Progress
	// Quiet is how long nothing must happen in a system's folder before it is published; zero: watch.Quiet.
	Quiet time.Duration
	// Retry is when to try again to store what could not be stored; zero: after a minute. Of what could not be fetched it is the first
	// pause; zero: 15 s.
	Retry time.Duration
	// Origins is what requests for files from elsewhere go through; nil: as package origin does it.
	Origins http.RoundTripper
	// Listening is called once, when everything listens; may be nil.
	Listening func()
	// Count is how often the trackers of the site's other seeders are asked how many peers they know; zero: once a minute.
	Count time.Duration
	// Ready is called once, when everything listens and the catalog is published; may be nil.
	Ready func(Summary)
	// Mirror says which other seeder is mirrored. Then Site has what is local, and no systems; nil: Site is served.
	Mirror *Mirror
}

// Summary is what a person wants to know when the daemon is up.
type Summary struct {
	Interfaces []Interface
	Base       []string // HTTP base URLs
	Catalog    *catalog.Catalog
	// UEFI says what machines with UEFI get, one line for each architecture.
	UEFI []string
	// NoTFTP and NoDHCP say that the site has the service on, and that it could not be had.
	NoTFTP, NoDHCP bool
}

// LogDir is the folder, below site.StateDir, of the nodes' logs.
const LogDir = "logs"

// daemon is the running services.
type daemon struct {
	Options
	// on are the interfaces that are served, as they are now.
	on      atomic.Pointer[[]Interface]
	loaders *loaders.Loaders
	boot    *bootfiles.Files
	// state is the folder of what is kept over a restart.
	state   string
	sockets *sockets
	web     *web.Server
	// feed publishes what is served.
	feed     feed
	fleet    *fleet.Fleet
	tracker  *tracker.Tracker
	operator *operator
	// local knows which machines start their own disk before phase 1 is loaded.
	local *local.Book
	// helpers decides from where machines load phase 1.
	helpers *helpers.Book
	// siblings knows the site's other seeders.
	siblings *siblings.Book
	// elsewhere is how many peers the tracker of the seeder that is mirrored knows; nil: that is not known.
	elsewhere atomic.Pointer[peerCount]
	// handOn hands on what nodes tell to the seeder that is mirrored; nil: none is.
	handOn  *handOn
	history *history.History
	metrics *metrics.Metrics
	tests   *tester
	// lost are why services could not be had.
	lost []error
	// retest asks for another self-test.
	retest chan struct{}
	// current is the site as it was last published; Options.Site is the one the sockets were opened for. restartKeys are those in which
	// they differ with no effect.
	current     atomic.Pointer[site.Site]
	restartKeys []string
}

// Run serves until ctx ends, which is no error. Every port is taken before anything else is done. While the site is
// being read for the first time nodes can start already: the catalog they ask for then comes a little later.
func Run(ctx context.Context, o Options) error {
	on, missing, err := interfaces(o.Site.Serve)
	if err != nil && o.Site.Original {
		return fmt.Errorf("%w; correct %s", err, o.Site.Where("serve"))
	}
	if err != nil {
		return err
	}
	d := &daemon{Options: o, loaders: loaders.New(o.Site.Dir), boot: bootfiles.New(filepath.Join(o.Site.Dir, site.ImageDir)), state: filepath.Join(o.Site.Dir, site.StateDir), retest: make(chan struct{}, 1)}
	d.on.Store(&on)
	d.current.Store(o.Site)
	d.tests = &tester{log: o.Log, run: func(ctx context.Context, wait time.Duration) []selftest.Finding {
		in := testOf(d.current.Load(), on, missing)
		in.Serving, in.Wait, in.Lost = true, wait, d.lost
		return selftest.Run(ctx, in)
	}}
	d.metrics = d.newMetrics()
	if d.feed, err = d.openFeed(); err != nil {
		return err
	}
	defer d.feed.close()
	if d.sockets, err = d.listen(ctx); err != nil {
		return err
	}
	defer d.sockets.close()
	d.assemble()
	if o.Listening != nil {
		o.Listening()
	}

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.web.Serve(ctx, d.sockets.http) })
	g.Go(func() error { return d.sockets.tftp.Serve(ctx) })
	if d.sockets.dhcp != nil {
		g.Go(func() error { d.sockets.dhcp.Serve(ctx); return nil })
	}
	g.Go(func() error { d.fleet.Run(ctx); return nil })
	g.Go(func() error { d.history.Run(ctx); return nil })
	g.Go(func() error { d.helpers.Run(ctx); return nil })
	g.Go(func() error { d.metrics.Run(ctx); return nil })
	g.Go(func() error { d.tests.watch(ctx, d.retest); return nil })
	g.Go(func() error { d.serveControl(ctx); return nil })
	g.Go(func() error { d.countElsewhere(ctx); return nil })
	g.Go(func() error { d.followAddresses(ctx); return nil })
	g.Go(func() error { d.operator.run(ctx, d.feed.renew); return nil })
	g.Go(func() error { return d.feed.run(ctx) })
	return g.Wait()
}

// assemble makes the parts that share state: tracker, web and what publishes.
func (d *daemon) assemble() {
	d.tracker = tracker.New(tracker.Config{Seeds: d.seedAt, Network: d.network, Observe: d.metrics.Announce, Log: d.Log})
	count := counter.Open(d.state, d.Log, time.Now)
	d.operator = d.newOperator(count)
	d.history = history.Open(d.state, d.Log, time.Now)
	kept, wishes := fleet.Config{
		Dir: filepath.Join(d.state, LogDir), Log: d.Log, Names: d.hostname, Observe: d.history.Observe, Changed: d.metrics.Report,
		Answer: d.answer,
	}, local.Config{
		Log: d.Log, Now: time.Now, Has: d.hasAddress,
		Catalog: func() *catalog.Catalog { return d.feed.catalog() }, Done: func(id, mac string) { d.operator.next.Follow(mac, id) },
	}
	if f, ok := d.feed.(*mirrored); ok {
		d.handOn = f.newHandOn()
		kept.Logged, wishes.Catalog, wishes.HandOn = d.handOn.logged, d.handOn.catalog, d.handOn.local
	}
	d.fleet, d.local = fleet.New(kept), local.New(wishes)
	d.helpers = helpers.New(helpers.Config{Log: d.Log, On: func() bool { return helped(d.current.Load()) }, Group: d.group})
	d.siblings = d.newSiblings()
	manifest := d.feed.attach(count)
	shown := d.page()
	d.web = web.New(web.Config{
		Log: d.Log, Boot: d.boot, Loaders: d.loaders.Files, Script: d.script,
		Announce: d.tracker.Announce(), Scrape: d.tracker.Scrape(), Report: d.handedOn(d.fleet.ReportHandler()), Nodes: d.fleet.ListHandler(),
		NodeLog: d.handedOn(d.fleet.LogHandler()), Local: d.handedOn(d.local.Handler()), Limit: d.sockets.engine.UploadLimiter(),
		Metrics: d.metrics.Handler(), Unready: d.unready, Observe: d.metrics.HTTP, Sent: d.metrics.File,
		Sending: d.helpers.Sending, Loaded: d.helpers.Loaded, Seeders: d.seeders, Mirrored: d.mirrors,
		Systems:  func() status.Site { return d.status() },
		SelfTest: d.tests.handler(), Manifest: manifest, Wanted: d.feed.want, NotYet: d.feed.waiting,
		Page: shown.Documents(), PagePaths: page.Paths, OpenPaths: page.OpenPaths, Events: shown.Events(),
		API: d.operator.api.Handler(d.operator.auth), Login: d.operator.auth.Login(), Logout: d.operator.auth.Logout(), Guard: d.operator.auth.Read,
	})
}

// ready tells whoever started the daemon of the first catalog.
func (d *daemon) ready(cat *catalog.Catalog) {
	if d.Ready != nil {
		d.Ready(Summary{
			Interfaces: d.interfaces(), Base: d.bases(), Catalog: cat, UEFI: d.loaders.Describe(d.current.Load().UEFI),
			NoTFTP: d.sockets.noTFTP, NoDHCP: d.sockets.dhcp == nil && d.Site.DHCP.Mode != site.DHCPOff,
		})
	}
}

// take notes a site that was read and is published from now on.
func (d *daemon) take(s *site.Site) {
	d.current.Store(s)
	d.warnOfRestart(s)
	select {
	case d.retest <- struct{}{}:
	default: // it is asked for already
	}
}

// seedAt is where the seed is reached from the side that local faces.
func (d *daemon) seedAt(local netip.Addr) netip.AddrPort {
	return netip.AddrPortFrom(local.Unmap(), uint16(d.sockets.engine.Port()))
}

// hostname is the name that the site reserves for a MAC address, or empty.
func (d *daemon) hostname(mac string) string {
	address, err := net.ParseMAC(mac)
	reserved := d.current.Load().DHCP.Reservations
	if i := slices.IndexFunc(reserved, func(r site.Reservation) bool { return bytes.Equal(r.MAC, address) }); err == nil && i >= 0 {
		return reserved[i].Hostname
	}
	return ""
}

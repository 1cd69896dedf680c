// Package daemon puts the seeder together: it finds out where to serve, publishes the site, and runs DHCP, TFTP, HTTP,
// tracker and seed until its context ends. The protocols are packages of their own and know nothing of each other.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/dhcp"
	"github.com/boottorrent/boottorrent/seeder/nodes"
	"github.com/boottorrent/boottorrent/seeder/store"
	"github.com/boottorrent/boottorrent/seeder/tftp"
	"github.com/boottorrent/boottorrent/seeder/tracker"
	"github.com/boottorrent/boottorrent/seeder/web"
	"github.com/boottorrent/boottorrent/templates/ipxe"
)

// Options say what to run.
type Options struct {
	Site *site.Site
	Log  *slog.Logger
	// Progress is told how far hashing is; may be nil.
	Progress store.Progress
	// Ready is called once, when everything listens and the catalog is published; may be nil.
	Ready func(Summary)
}

// Summary is what a person wants to know when the daemon is up.
type Summary struct {
	Interfaces []Interface
	Base       []string // HTTP base URLs
	Catalog    *catalog.Catalog
	Loaders    map[string]string
}

// daemon is the running services.
type daemon struct {
	Options
	on      []Interface
	base    []string
	loaders map[string]string
	engine  *swarm.Engine
	web     *web.Server
	publish *publisher
}

// Run serves until ctx ends, which is no error.
func Run(ctx context.Context, o Options) error {
	on, err := interfaces(o.Site.Serve)
	if err != nil {
		return err
	}
	state := filepath.Join(o.Site.Dir, site.StateDir)
	st, err := store.Open(filepath.Join(state, "store"), o.Log)
	if err != nil {
		return err
	}
	defer st.Close()
	engine, err := swarm.New(swarm.Config{Listen: netip.AddrPortFrom(listenAddr(on), o.Site.Ports.Torrent), Log: o.Log})
	if err != nil {
		return fmt.Errorf("BitTorrent port %d: %w", o.Site.Ports.Torrent, err)
	}
	defer engine.Close()

	d := &daemon{Options: o, on: on, loaders: loaders(), engine: engine}
	d.assemble(st)
	g, ctx := errgroup.WithContext(ctx)
	listeners, err := d.listen()
	if err != nil {
		return err
	}
	g.Go(func() error { return d.web.Serve(ctx, listeners...) })
	g.Go(func() error { return d.serve(ctx, st, filepath.Join(state, "leases.db")) })
	return g.Wait()
}

// serve publishes the site and then starts what nodes ask first.
func (d *daemon) serve(ctx context.Context, st *store.Store, leases string) error {
	if err := d.offer(ctx, st); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.publish.follow(ctx, d.Site.Dir) })
	g.Go(func() error { return d.publish.retire(ctx) })
	g.Go(func() error { return d.serveTFTP(ctx) })
	if d.Site.DHCP.Mode != site.DHCPOff {
		g.Go(func() error { return d.serveDHCP(ctx, leases) })
	}
	return g.Wait()
}

// assemble makes the parts that share state: tracker, web and publisher.
func (d *daemon) assemble(st *store.Store) {
	var announce []string
	for _, i := range d.on {
		base := "http://" + netip.AddrPortFrom(i.Addr.Addr(), d.Site.Ports.HTTP).String()
		d.base = append(d.base, base)
		announce = append(announce, base+catalog.PathAnnounce)
	}
	track := tracker.New(tracker.Config{Seeds: d.seedAt, Log: d.Log})
	registry := nodes.New(d.Log, time.Now)
	d.web = web.New(web.Config{
		Log: d.Log, Site: d.Site.Name, ImageDir: filepath.Join(d.Site.Dir, site.ImageDir), Loaders: d.loaders, Script: d.script,
		Announce: track.Announce(), Scrape: track.Scrape(), Report: registry.ReportHandler(), Nodes: registry.ListHandler(),
		NodeList: registry.List,
	})
	d.publish = &publisher{
		log: d.Log, store: st, engine: d.engine, tracker: track, web: d.web, announce: announce, base: d.base,
		progress: d.Progress, now: time.Now, seeding: map[catalog.InfoHash]*version{},
	}
}

// offer publishes the site for the first time and says that the daemon is ready.
func (d *daemon) offer(ctx context.Context, st *store.Store) error {
	cat, err := d.publish.publish(ctx, d.Site)
	if err != nil {
		return err
	}
	var keep []catalog.InfoHash
	for _, s := range cat.Systems {
		keep = append(keep, s.InfoHash)
	}
	if err := st.Prune(keep); err != nil {
		d.Log.Warn("removing old versions from the disk", "err", err)
	}
	if d.Ready != nil {
		d.Ready(Summary{Interfaces: d.on, Base: d.base, Catalog: cat, Loaders: d.loaders})
	}
	return nil
}

// listenAddr is the address to listen on for services that have one socket: the only one served on, else all.
func listenAddr(on []Interface) netip.Addr {
	if len(on) == 1 {
		return on[0].Addr.Addr()
	}
	return netip.IPv4Unspecified()
}

// seedAt is where the seed is reached from the side that local faces.
func (d *daemon) seedAt(local netip.Addr) netip.AddrPort {
	return netip.AddrPortFrom(local.Unmap(), uint16(d.engine.Port()))
}

// script makes the iPXE script for a client that reached us at host, an address and port of ours.
func (d *daemon) script(host string) ([]byte, error) {
	base := "http://" + host
	// A kernel that panics on an unattended node tries again after half a minute.
	args := []string{"bt.seeder=" + base, "panic=30"}
	for _, c := range d.Site.Node.Consoles {
		args = append(args, "console="+c)
	}
	if d.Site.Node.Cmdline != "" {
		args = append(args, d.Site.Node.Cmdline)
	}
	return ipxe.Script(ipxe.Params{Base: base, Site: d.Site.Name, Args: args})
}

// listen opens the HTTP sockets, so that a port in use is known before anything else starts.
func (d *daemon) listen() ([]net.Listener, error) {
	var ls []net.Listener
	for _, i := range d.on {
		addr := netip.AddrPortFrom(i.Addr.Addr(), d.Site.Ports.HTTP).String()
		l, err := net.Listen("tcp4", addr)
		if err != nil {
			closeAll(ls)
			return nil, fmt.Errorf("HTTP: %w; stop what uses that port, or set another under ports.http in %s", err, site.ConfigFile)
		}
		ls = append(ls, l)
	}
	return ls, nil
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		l.Close()
	}
}

func (d *daemon) serveTFTP(ctx context.Context) error {
	var addrs []netip.AddrPort
	for _, i := range d.on {
		addrs = append(addrs, netip.AddrPortFrom(i.Addr.Addr(), d.Site.Ports.TFTP))
	}
	return tftp.New(tftp.Config{Listen: addrs, Files: d.loaders, Log: d.Log}).Serve(ctx)
}

func (d *daemon) serveDHCP(ctx context.Context, leases string) error {
	cfg := dhcp.Config{Site: d.Site.DHCP, Leases: leases, Log: d.Log, Boot: dhcp.Boot{HTTPPort: d.Site.Ports.HTTP}}
	for _, i := range d.on {
		cfg.Interfaces = append(cfg.Interfaces, dhcp.Interface{Name: i.Name, Index: i.Index, Addr: i.Addr})
	}
	have := func(name string) string {
		if _, ok := d.loaders[name]; ok {
			return name
		}
		return ""
	}
	cfg.Boot.BIOS, cfg.Boot.EFI, cfg.Boot.HTTPEFI = have(loaderBIOS), have(loaderEFI), have(loaderHTTP)
	server, err := dhcp.New(cfg)
	if err != nil {
		return err
	}
	return errors.Join(server.Serve(ctx), server.Close())
}

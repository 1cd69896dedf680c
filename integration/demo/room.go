package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/report"
)

// config has three machines load phase 1 side by side, so that they begin the system together: for so few, taking turns gains nothing.
const config = `version: 1
name: demonstration
default: tiny
timeout: 20
seed_time: 20
phase1: {helpers: "off"}
`

// demo is a running demonstration.
type demo struct {
	options
	room   *lab.Room
	host   *lab.Host
	seeder *kit.Seeder
	nodes  []*lab.Node
	last   map[string]report.Node // by MAC
	told   map[string]float64     // the percentage last told, by MAC
	slow   bool                   // the seeder's link has the speed that the table is about
}

// prepare builds everything and switches the machines on.
func prepare(ctx context.Context, o options) (*demo, error) {
	site, err := prepareSite(ctx, o)
	if err != nil {
		return nil, err
	}
	room, err := lab.New(ctx, "demo")
	if err != nil {
		return nil, err
	}
	d := &demo{options: o, room: room, last: map[string]report.Node{}, told: map[string]float64{}}
	if err := d.furnish(ctx, site); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *demo) close() {
	if err := d.room.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
}

// prepareSite makes the site, or brings an earlier demonstration's up to date.
func prepareSite(ctx context.Context, o options) (*kit.Site, error) {
	dir, err := filepath.Abs(o.site)
	if err != nil {
		return nil, err
	}
	fmt.Println("Compiling seeder and mkimage …")
	tools, err := kit.Build(ctx, filepath.Join(dir, ".tools"), os.Stdout)
	if err != nil {
		return nil, err
	}
	site := &kit.Site{Dir: dir, Kit: tools}
	if _, err := os.Stat(site.Path("boottorrent.yaml")); errors.Is(err, os.ErrNotExist) {
		if site, err = tools.NewSite(ctx, dir, "demonstration"); err != nil {
			return nil, err
		}
	}
	fmt.Println("Building the nodes' client OS with mkimage …")
	if err := site.MakeImage(ctx); err != nil {
		return nil, err
	}
	if err := site.AddTiny(ctx, "tiny", o.size<<20); err != nil {
		return nil, err
	}
	if err := site.AddDebian("debian"); err != nil {
		return nil, err
	}
	return site, site.Configure(config)
}

// furnish puts a DHCP server, the seeder and the machines into the room.
func (d *demo) furnish(ctx context.Context, site *kit.Site) error {
	router, err := d.room.Host("router", lab.Addr("10.77.0.254/16"))
	if err != nil {
		return err
	}
	if _, err := lab.DnsmasqDHCP(ctx, router, "10.77.1.10,10.77.1.200"); err != nil {
		return err
	}
	accelerator := d.room.Accelerator()
	if d.link == 0 {
		d.link = seederLink
		if accelerator.Why != "" {
			d.link = emulatedLink
		}
	}
	if d.host, err = d.room.Host("seeder", lab.Addr("10.77.0.1/16")); err != nil {
		return err
	}
	if d.seeder, err = site.Serve(ctx, d.host); err != nil {
		return err
	}
	if accelerator.Why != "" {
		fmt.Printf("The machines are emulated (%s), so they are slow: %s\n", accelerator.Name, accelerator.Why)
	}
	fmt.Printf("Switching on %d machines …\n", d.options.nodes)
	for i := range d.options.nodes {
		n, err := d.room.Node(lab.NodeConfig{Name: fmt.Sprintf("n%d", i+1), MemoryMiB: d.memory})
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, n)
	}
	return nil
}

// slowDown gives the seeder's link its speed as soon as every machine has loaded phase 1, which nobody need watch at that speed, or one
// has begun to fetch a system.
func (d *demo) slowDown(ctx context.Context, w io.Writer) {
	fetches := func(n report.Node) bool { return n.Step == report.Fetch }
	if d.slow || len(d.last) < len(d.nodes) && !slices.ContainsFunc(slices.Collect(maps.Values(d.last)), fetches) {
		return
	}
	switch err := d.host.SetRates(ctx, 0, d.link*1e6); {
	case err == nil:
		d.slow = true
		fmt.Fprintf(w, "From now on the seeder sends %g Mbit/s at most; among the machines the network is as fast as it can.\n", d.link)
	case ctx.Err() == nil:
		fmt.Fprintln(w, "The seeder's link can't be made slow, and will be tried again:", err)
	}
}

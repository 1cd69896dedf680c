// Package node does the steps whose order package boot knows: it holds what one step learns for the next (the lease, the
// seeder, the chosen system) and joins each step's work to its screen and to the report. The work itself is in the
// packages hardware, network, discover, client, launch and swarm.
package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/discover"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/sitepart"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// How long a step tries by itself before it is shown as a problem, which is then retried. Spanning tree may keep a
// switch's port closed for 50 s, so the network gets more than that.
const (
	networkDeadline  = 2 * time.Minute
	discoverDeadline = 30 * time.Second
	catalogDeadline  = 45 * time.Second
)

// Config is what a node is made of.
type Config struct {
	Consoles *console.Set
	// Log writes one line for a person, on every console and to the kernel ring.
	Log     func(format string, args ...any)
	Cmdline config.Cmdline
	Image   sitepart.Config
	Report  *report.Reporter
	// Systems is the folder, on a tmpfs, that systems are fetched into: a folder each, named by infohash.
	Systems string
}

// Node is a machine on its way to a system. It implements boot.Steps.
type Node struct {
	Config
	key minisign.PublicKey

	facts   hardware.Facts
	lease   network.Lease
	catalog *catalog.Catalog
	keeping context.CancelFunc // ends the lease's renewal
	engine  *swarm.Engine
	console string // the one somebody last chose on

	// found is how to reach the seeder; the reporter's goroutine reads it too.
	found     atomic.Pointer[client.Client]
	reporting bool
}

var _ boot.Steps = (*Node)(nil)

// New returns a node that has taken no step yet. An image without a usable public key is an error: nothing it could
// fetch would be trusted.
func New(cfg Config) (*Node, error) {
	n := &Node{Config: cfg}
	if err := n.key.UnmarshalText([]byte(cfg.Image.PublicKey)); err != nil {
		return nil, fmt.Errorf("the public key in this image is not one (%w); build the image again with mkimage", err)
	}
	return n, nil
}

// Hardware loads the drivers of the devices that are present.
func (n *Node) Hardware(ctx context.Context) error {
	if err := hardware.Load(ctx, n.Log); err != nil {
		return err
	}
	n.facts = hardware.ReadFacts()
	n.Report.Set(func(r *wire.Report) {
		r.UUID, r.MemoryMiB, r.Arch = n.facts.UUID, n.facts.MemoryMiB, n.facts.Arch
	})
	return nil
}

// Network brings up the network and keeps the lease.
func (n *Node) Network(ctx context.Context) error {
	if n.lease.Addr.IsValid() && network.Alive(n.lease) {
		return nil
	}
	if n.keeping != nil {
		n.keeping()
	}
	limited, cancel := context.WithTimeout(ctx, networkDeadline)
	defer cancel()
	lease, err := network.Up(limited, n.Cmdline.Network, func(line string) { n.Log("%s", line) })
	if err != nil {
		return err
	}
	n.setLease(ctx, lease)
	n.Log("%s: %s, gateway %s", lease.Interface, lease.Addr, text(lease.Gateway))
	return nil
}

func (n *Node) setLease(ctx context.Context, lease network.Lease) {
	n.lease = lease
	ctx, n.keeping = context.WithCancel(ctx)
	go network.Keep(ctx, lease, func(line string) { n.Log("%s", line) })
	n.Report.Set(func(r *wire.Report) {
		r.MAC, r.IP, r.Name = lease.MAC.String(), lease.Addr.Addr().String(), lease.Hostname
	})
}

// Discover finds the seeder.
func (n *Node) Discover(ctx context.Context) error {
	ctx2, cancel := context.WithTimeout(ctx, discoverDeadline)
	defer cancel()
	probe := func(ctx context.Context, base string) error {
		return (&client.Client{Base: base, Key: n.key}).Probe(ctx)
	}
	base, tried, err := discover.Find(ctx2, discover.Candidates(n.Cmdline, n.Image, n.lease), probe)
	for _, t := range tried {
		n.Log("seeder: %s", t)
	}
	if err != nil {
		return err
	}
	n.found.Store(&client.Client{Base: base, Key: n.key})
	if !n.reporting {
		n.reporting = true
		go n.Report.Run(ctx, poster{n})
	}
	return n.save()
}

// client speaks to the seeder; nil before one was found.
func (n *Node) client() *client.Client { return n.found.Load() }

// poster reports to the seeder that the node knows now, which may be another after a failure.
type poster struct{ n *Node }

// Report implements report.Poster.
func (p poster) Report(ctx context.Context, r wire.Report) error { return p.n.client().Report(ctx, r) }

// Catalog reads and verifies the catalog, and applies what the kernel command line overrides.
func (n *Node) Catalog(ctx context.Context) (*catalog.Catalog, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogDeadline)
	defer cancel()
	cat, err := n.client().Catalog(ctx)
	if err != nil {
		return nil, err
	}
	n.catalog = n.override(cat)
	return n.catalog, nil
}

func (n *Node) override(cat *catalog.Catalog) *catalog.Catalog {
	c := *cat
	if name := n.Cmdline.System; name != "" {
		if _, ok := c.System(name); ok {
			c.Defaults.System = name
		} else {
			n.Log("bt.system=%s: the catalog has no such system", name)
		}
	}
	if n.Cmdline.Timeout != nil {
		c.Defaults.Timeout = *n.Cmdline.Timeout
	}
	return &c
}

// seeder is the address the seeder was found at.
func (n *Node) seeder() (netip.Addr, error) {
	u, err := url.Parse(n.client().Base)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the seeder's URL: %w", err)
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the seeder's URL %s: want an address, not a name: %w", n.client().Base, err)
	}
	return a, nil
}

// Shell opens a shell on the console that somebody chose on, and comes back when it ends.
func (n *Node) Shell(ctx context.Context) {
	quiet(false, n.Log)
	defer quiet(true, n.Log)
	err := n.Consoles.Shell(ctx, n.console, []string{"/bin/sh"}, nil)
	if err != nil && !errors.Is(err, context.Canceled) {
		n.Log("the shell could not be started: %v", err)
	}
}

// quiet keeps the kernel's messages off the screens, or lets them onto the consoles again.
func quiet(on bool, log func(string, ...any)) {
	if err := console.Quiet(on); err != nil {
		log("the kernel's messages: %v", err)
	}
}

// text is an address, or a word where there is none.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

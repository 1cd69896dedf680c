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
	"os"
	"sync"
	"sync/atomic"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/initramfs/ship"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
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
	// Log writes one line for a person, on every console and to the kernel's log.
	Log     func(format string, args ...any)
	Cmdline config.Cmdline
	// Warnings are about mistakes on the kernel command line and in boottorrent.conf, for the screens.
	Warnings []string
	Image    sitepart.Config
	Facts    hardware.Facts
	Report   *report.Reporter
	// Shipper sends the log to the seeder; nil: nobody does.
	Shipper *ship.Shipper
	// Systems is the folder, on a tmpfs, that systems are fetched into: a folder each, named by infohash.
	Systems string
	// Port is where nodes listen for each other (TCP); 0 is any free one.
	Port uint16
	// State is the file in which the network and the seeder are written down, for the commands that take single steps.
	State string
	// ByHand says that this is a single step in a shell, and not a boot.
	ByHand bool
}

// Node is a machine on its way to a system. It implements boot.Steps.
type Node struct {
	Config
	key minisign.PublicKey

	catalog        *catalog.Catalog
	lists          map[catalog.InfoHash]catalog.FileList // of what is fetched
	engine         *swarm.Engine                         // from Fetch until the node is left, or fetches something else
	claimed        *os.File                              // the folder of systems, while it is this program's
	console        string                                // the one somebody last chose on
	stopKeeping    func()                                // ends the lease's renewal
	stopAccounting func()                                // ends what startAccounting began
	mediumRead     bool
	typed          string // the seeder's address, by a person
	// deadEnds are the MAC addresses of the network cards by which no seeder was found.
	deadEnds map[string]bool
	// askDHCP is network.Seeders but in tests.
	askDHCP   func(context.Context, network.Lease) ([]string, error)
	reporting bool

	// How to reach the seeder and what the node is on the network are known to the goroutines that report and that renew
	// the lease as well.
	found  atomic.Pointer[client.Client]
	leased atomic.Pointer[network.Lease]
	saving sync.Mutex
}

var _ boot.Steps = (*Node)(nil)

// New returns a node that has taken no step yet. An image without a usable public key is an error: nothing it could
// fetch would be trusted.
func New(cfg Config) (*Node, error) {
	n := &Node{Config: cfg, lists: map[catalog.InfoHash]catalog.FileList{}, deadEnds: map[string]bool{}, stopKeeping: func() {}, stopAccounting: func() {}, askDHCP: network.Seeders}
	if err := n.key.UnmarshalText([]byte(cfg.Image.PublicKey)); err != nil {
		return nil, fmt.Errorf("the public key in this image is not one (%w); build the image again with mkimage", err)
	}
	n.Report.Set(func(r *wire.Report) {
		r.UUID, r.MemoryMiB, r.Arch = n.Facts.UUID, n.Facts.MemoryMiB, n.Facts.Arch
	})
	return n, nil
}

// Hardware loads the drivers of the devices that are present, and says what machine this is.
func (n *Node) Hardware(ctx context.Context) error {
	if err := hardware.Load(ctx, n.Log); err != nil {
		return err
	}
	n.Log("this machine: %s", n.Facts)
	for _, nic := range hardware.NICs() {
		n.Log("network card: %s", nic)
	}
	for _, device := range hardware.Undriven() {
		n.say(device.String())
	}
	n.readMedium(ctx)
	return nil
}

// Network brings up the network and keeps the lease.
func (n *Node) Network(ctx context.Context) error {
	l := n.lease()
	elsewhere := n.deadEnds[l.MAC.String()] && network.Others(l, n.Cmdline.Network)
	if l.Addr.IsValid() && network.Alive(l) && !elsewhere {
		return nil
	}
	n.stopKeeping()
	limited, cancel := context.WithTimeoutCause(ctx, networkDeadline, errors.New("gave up after two minutes"))
	defer cancel()
	lease, err := network.Up(limited, n.Cmdline.Network, n.deadEnds, n.say)
	if err != nil {
		return err
	}
	if n.deadEnds[lease.MAC.String()] { // all others are, or have no answer: begin anew
		clear(n.deadEnds)
	}
	n.setLease(lease)
	n.stopKeeping = n.keep(ctx, lease)
	return nil
}

// keep renews a lease until ctx ends or the function that it returns is called.
func (n *Node) keep(ctx context.Context, lease network.Lease) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		network.Keep(ctx, lease, n.say, func(l network.Lease) {
			n.setLease(l)
			if err := n.save(); err != nil {
				n.Log("%v", err)
			}
		})
	}()
	return func() {
		cancel()
		<-ended
	}
}

func (n *Node) say(line string) { n.Log("%s", line) }

// lease is what the node is on the network now; zero before it is there.
func (n *Node) lease() network.Lease {
	if l := n.leased.Load(); l != nil {
		return *l
	}
	return network.Lease{}
}

func (n *Node) setLease(l network.Lease) {
	n.leased.Store(&l)
	n.Report.Set(func(r *wire.Report) {
		r.MAC, r.IP, r.Name = l.MAC.String(), l.Addr.Addr().String(), l.Hostname
	})
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
	n.Log("catalog: %d system(s), signed by the key %016X of this image", len(cat.Systems), n.key.ID())
	return n.catalog, nil
}

func (n *Node) override(cat *catalog.Catalog) *catalog.Catalog {
	c := *cat
	if name := n.Cmdline.System; name != "" {
		if _, ok := c.System(name); ok {
			c.Defaults.System = name
		} else {
			n.Log("%s", n.missing())
		}
	}
	if n.Cmdline.Timeout != nil {
		c.Defaults.Timeout = *n.Cmdline.Timeout
	}
	return &c
}

// missing says that the system somebody set for this machine isn't there.
func (n *Node) missing() string {
	where := "bt.system="
	if n.Cmdline.ConfSystem {
		where = mediumconf.Name + ": system: "
	}
	return fmt.Sprintf("%s%s is ignored: the catalog has no system of that name", where, n.Cmdline.System)
}

// seeder is the address the seeder was found at.
func (n *Node) seeder() (netip.Addr, error) {
	base := n.client().Base
	u, err := url.Parse(base)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the seeder's URL: %w", err)
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the seeder's URL %s: want an address, not a name: %w", base, err)
	}
	return a, nil
}

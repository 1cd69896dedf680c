// Package node does the steps whose order package boot knows: it holds what one step learns for the next (the lease, the
// seeder, the chosen system) and joins each step's work to its screen and to the report. The work itself is in the
// packages hardware, network, discover, client, launch and swarm.
package node

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/handoff"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/helper"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/initramfs/ship"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/logonce"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
	"github.com/boottorrent/boottorrent/internal/modarchive"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/secureboot"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

// How long a step tries by itself before it is shown as a problem, which is then retried.
const (
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
	// Secure says which kernels the running one starts.
	Secure secureboot.State
	Report *report.Reporter
	// Shipper sends the log to the seeder; nil: nobody does.
	Shipper *ship.Shipper
	// Systems is the folder, on a tmpfs, that systems are fetched into: a folder each, named by infohash.
	Systems string
	// Port is where nodes listen for each other (TCP); 0 is any free one.
	Port uint16
	// State is the file in which the network and the seeder are written down, for the commands that take single steps.
	State string
	// Handoff is what this node was handed on by itself under another kernel; nil: nothing.
	Handoff *handoff.Received
	// KeysFile is where the SSH server reads which keys may log in beside those of the image.
	KeysFile string
	// HelpDir is a folder in memory that doesn't exist yet, for phase 1 when it is fetched to be given away.
	HelpDir string
	// RootDir is the root folder of the running program, which goes into the initramfs of a system's kernel, and PlanFile the plan of
	// the process that stays when a system is mounted.
	RootDir, PlanFile string
	// ByHand says that this is a single step in a shell, and not a boot.
	ByHand bool
}

// Node is a machine on its way to a system: the sequence of the steps over link, session and download, each of which owns what
// it learns, and the guest that runs beside it. It implements boot.Steps.
type Node struct {
	Config
	link     *link
	session  *session
	download *download
	// handed is nil under the kernel that the node was booted with.
	handed *handed

	// orders are those of the seeder's that are genuine, offered what the chooser had when it was there last; the goroutine that reports
	// sends and reads them. complained bounds what is logged of orders that are none.
	orders     chan decision.Decision
	offered    atomic.Pointer[[]menu.Item]
	complained logonce.Limiter
	// console is the one somebody last chose on.
	console string
	// facts are what the rules go by; nil: not known yet.
	facts *rules.Facts
	lock  *lock
	// keys are those that the rules let in by SSH beside the image's.
	keys *moreKeys
	// helper gives phase 1 to machines that start, if the seeder asks for that; spare is the memory that it goes by.
	helper *helper.Helper
	spare  spare
	// following is the ID of the catalog.Next that the node follows; empty: none.
	following string

	// refused are the systems that the running kernel would not start when it was tried.
	refused map[catalog.InfoHash]*secureboot.Refusal
	// disks are the drivers of this machine's own; nothingLocal is why there is nothing to start from them.
	disks        disks
	nothingLocal *noSystemError
	mediumRead   bool
	// mediumSeen is the counter that the medium keeps, forgetful whether it can keep none.
	mediumSeen uint64
	forgetful  bool
	// askDHCP is network.Seeders but in tests.
	askDHCP func(context.Context, network.Lease) ([]string, error)
	saving  sync.Mutex
	// These are launch.NewBootKernel, hardware.Mounts and checkNIC but in tests.
	newKernel func(composed int64) launch.Method
	mounts    func(fs string) bool
	checkNIC  func(x *modarchive.Index, mac string) error
	// stopShipping ends what ship began.
	stopShipping func()
}

var _ boot.Steps = (*Node)(nil)

// New returns a node that has taken no step yet. An image without a usable public key is an error: nothing it could
// fetch would be trusted.
func New(cfg Config) (*Node, error) {
	session, err := newSession(cfg, filepath.Join(filepath.Dir(cfg.State), seenFile))
	if err != nil {
		return nil, err
	}
	n := &Node{Config: cfg, session: session, askDHCP: network.Seeders, orders: make(chan decision.Decision), stopShipping: func() {}, mounts: hardware.Mounts, checkNIC: checkNIC}
	n.lock, n.keys = newLock(cfg.Image.Passwords), newMoreKeys(cfg.KeysFile)
	n.newKernel = func(composed int64) launch.Method { return launch.NewBootKernel(composed) }
	n.link = newLink(cfg.Log, cfg.Report, n.saveOrSay)
	n.download = newDownload(cfg, n.link, session)
	session.Near, session.Moved = n.near, n.moved
	n.helper = n.newHelper()
	if r := cfg.Handoff; r != nil {
		n.handed, n.mediumRead = &handed{Received: r, did: map[wire.Step]bool{}}, true
		n.link.known, n.link.age = &r.Lease, func() time.Duration { return r.LeaseAge + elapsed(r) }
		n.download.ahead.keep(r.System, metadata{r.Files, r.Torrent})
		n.facts = r.Facts
		n.download.archives.got = r.MachineFiles
		n.raise(r.Catalog.Counter)
		session.Use(r.Seeder)
		session.Learn(r.Seeders)
		n.mediumSeen = r.Catalog.Counter // what the kernel before could not write there, this one can't either
	}
	n.raise(cfg.Cmdline.Seen)
	n.Report.Set(func(r *wire.Report) {
		f := n.ruleFacts()
		r.UUID, r.MemoryMiB, r.Arch, r.SecureBoot = f.UUID, f.Memory>>20, f.Arch, n.Secure.SecureBoot
		r.Serial, r.Vendor, r.Model, r.Firmware = f.Serial, f.Vendor, f.Model, f.Firmware
	})
	return n, nil
}

// Hardware loads the drivers of the devices that are present, and says what machine this is.
func (n *Node) Hardware(ctx context.Context) error {
	if err := hardware.Load(ctx, n.Log); err != nil {
		return err
	}
	n.Log("this machine: %s", n.Facts)
	n.logSecureBoot()
	if n.handed != nil {
		n.Log("going on under the kernel of %s, as the same boot", n.handed.System.Title)
	}
	for _, nic := range hardware.NICs() {
		n.Log("network card: %s", nic)
	}
	for _, device := range hardware.Undriven() {
		n.link.say(device.String())
	}
	n.readMedium(ctx)
	return nil
}

// Network brings up the network and keeps the lease.
func (n *Node) Network(ctx context.Context) error { return n.link.connect(ctx, n.Cmdline.Network) }

// Catalog reads and verifies the catalog, and returns it as it holds for this machine: by the site's rules, and by what the kernel command
// line overrides.
func (n *Node) Catalog(ctx context.Context) (*catalog.Catalog, error) {
	limited, cancel := context.WithTimeout(ctx, catalogDeadline)
	defer cancel()
	cat, err := n.readCatalog(limited)
	if err != nil {
		return n.withoutSeeder(ctx, err)
	}
	n.Log("catalog: %d system(s), signed by the key %016X of this image", len(cat.Systems), n.session.Key.ID())
	n.session.Hint(cat.HTTP)
	n.session.catalog = n.apply(ctx, cat)
	n.download.limits.set(n.session.catalog.Limits)
	return n.session.catalog, nil
}

func (n *Node) override(cat *catalog.Catalog) *catalog.Catalog {
	c := *cat
	missing := false
	if name := n.Cmdline.System; name != "" {
		if _, ok := c.System(name); ok {
			c.Defaults.System = name
		} else {
			missing = true
			n.Log("%s", n.missing())
		}
	}
	if n.Cmdline.Timeout != nil && !(missing && n.handed != nil) { // at once is for the system that was handed on
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

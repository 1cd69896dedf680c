// Package fleet knows the nodes: in go their reports (POST /api/report) and the lines of their logs (POST /api/log), out come the list
// of all nodes (GET /api/nodes), a line in the seeder's log for each step, and a file a node with its log, which stays over a restart
// of the seeder and which a [Follower] shows. Of a node that boots again, the boot before is kept as well.
//
// Reports and logs are kept and shown, never trusted: whoever can reach the seeder can send any. So there is a limit for everything,
// in bytes: of memory for the reports, of the disk for the logs. Beyond it package quota says which node is forgotten first. Nothing
// that is shown can drive a terminal.
package fleet

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/quota"
	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// defaultMemory is how much the reports may take. A node that is in its second boot has some 2.5 KiB, so 10,000 have 25 MiB.
	defaultMemory = 48 << 20
	// defaultDisk is how much the logs may take, if diskShare of the disk allows it. A boot has some 100 KB.
	defaultDisk = 2 << 30
	// diskShare is the part of what is free or taken by logs that logs may have, one in so many: leases and systems are on the same
	// disk.
	diskShare = 10
	// shrinkTime is how often it is looked whether the disk has become fuller.
	shrinkTime = 10 * time.Second
)

// Config is what a fleet needs.
type Config struct {
	// Dir is the folder of the logs, which is made when it is needed.
	Dir string
	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now
	// Names returns the name the operator gave a MAC (aa:bb:cc:dd:ee:ff), or "". It goes before the name a node reports.
	// Nil: nobody has one.
	Names func(mac string) string
	// Observe is told of each report that is taken, as the list has the node then, and of the address that the request came from; it must
	// return at once. Nil: nobody is told.
	Observe func(n report.Node, from netip.Addr)
	// Answer returns what a node gets as the answer to a report that was taken: an order (200), or none (204), and a header by which it is asked to
	// give phase 1 away. It may be nil.
	Answer func(rep report.Report, s Sender) report.Answer
	// Logged is told of lines of a node's log that were taken. It must return at once. Nil: nobody is told.
	Logged func(l report.Log, s Sender)
	// Changed is told of each report that is taken, beside the one before of the same boot (the zero Report if there was none). It must
	// return at once. Nil: nobody is told.
	Changed func(old, rep report.Report)
	// Memory and Disk bound what reports and logs take, in bytes; 0: 48 MiB and 2 GiB.
	Memory, Disk int64
}

// Sender is whom a report or lines of a log are from.
type Sender struct {
	// Node is the node's own address, and By the one that the request came from: the same, or that of a mirror.
	Node, By netip.Addr
	// Via is the base URL of the mirror that the node spoke to; empty: it spoke to this seeder.
	Via string
	// Doubt says that it may be another's: [forward.Origin].
	Doubt bool
	// At is when the node said it, by this seeder's clock.
	At time.Time
	// Body is the request's, as it came.
	Body []byte
}

// Fleet is the nodes of a site. Its methods may be called from any goroutine.
type Fleet struct {
	cfg Config
	log *slog.Logger
	// lines bounds what reports add to the seeder's log, which is on a disk too: a room of 10,000 has 80,000 steps.
	lines *rate.Limiter
	// quiet and full are warnings.
	quiet, full seldom

	mu      sync.Mutex
	nodes   map[string]*quota.Item[*node] // by MAC
	reports *quota.Stock[*node]

	// logs has a lock of its own: it is held while something is written.
	logs logs
}

// New returns a fleet without nodes, but with the logs that are there.
func New(cfg Config) *Fleet {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Names == nil {
		cfg.Names = func(string) string { return "" }
	}
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	if cfg.Disk == 0 {
		cfg.Disk = defaultDisk
	}
	f := &Fleet{
		cfg: cfg, log: cfg.Log, lines: rate.NewLimiter(linesPerSecond, lineBurst),
		nodes: map[string]*quota.Item[*node]{}, reports: quota.New[*node](cfg.Memory),
	}
	f.logs.open(cfg.Dir, cfg.Disk)
	return f
}

// Run keeps the logs within their share of the disk, whatever else is written there, until ctx ends.
func (f *Fleet) Run(ctx context.Context) {
	tick := time.NewTicker(shrinkTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.logs.shrink()
		}
	}
}

// addrOf is the address of "ADDRESS:PORT"; the zero Addr if it is none.
func addrOf(remote string) netip.Addr {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

package stay

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/helper"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/initramfs/seeders"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

const (
	// maxPeers is how many connections there are at most. Each takes some 200 KiB of memory while it is busy.
	maxPeers = 32
	// accountTime is how often the numbers are looked at, retryTime how soon a start that failed is tried again.
	accountTime = 2 * time.Second
	retryTime   = 10 * time.Second
)

// listTime is about how often the seeder's list of the others is read: a thousand machines that run must not be a load.
const listTime = 5 * time.Minute

// pace is of the reports: nobody watches the screen of this node.
var pace = report.Pace{Busy: 5 * time.Second, Idle: 30 * time.Second, Most: 2 * time.Minute}

// Config is what gives away.
type Config struct {
	Plan Plan
	// Dir has the system's folder: its files are Dir/NAME/PATH.
	Dir string
	// Status is the folder that Status is written into.
	Status *os.File
	// Group is the process's own control group; it may be nil.
	Group *Group
	// Log writes a line for a person.
	Log func(format string, args ...any)
}

// Giver gives the images of a running system away. It holds their files open and copies nothing.
type Giver struct {
	Config
	seeders *seeders.Seeders
	files   []*os.File
	// part are the files of the plan's Part.
	part   []*os.File
	status statusFile
	report *report.Reporter
	// poster sends the reports, and takes orders and asks for help if the site's key is known.
	poster report.Poster
	// helper gives phase 1 away while an engine runs; nil: there is none.
	helper atomic.Pointer[helper.Helper]

	// address is this machine's now, and what follows exists while there is one that can be listened on.
	address netip.Addr
	engine  *swarm.Engine
	// detach ends that the engine is told of other seeders.
	detach func()
	// stopReports ends the reports.
	stopReports context.CancelFunc
	// before is what engines gave away that are gone, in bytes. failed says why there is none, failedAt since when.
	before   int64
	failed   error
	failedAt time.Time
}

// New opens the files. They are trusted: whoever started the system has verified them.
func New(cfg Config) (*Giver, error) {
	g := &Giver{
		Config: cfg, status: statusFile{dir: cfg.Status, now: time.Now},
		report: report.Continue(cfg.Plan.Report, time.Now), stopReports: func() {},
	}
	p := cfg.Plan
	g.seeders = seeders.New(seeders.Config{Newest: g.newest, Refresh: listTime, Log: cfg.Log, Moved: g.moved})
	poster := seeders.Poster{Seeders: g.seeders}
	g.poster = poster
	if err := g.seeders.Key.UnmarshalText([]byte(p.PublicKey)); err == nil {
		ending := newEnding(cfg.Log)
		g.poster = &report.Obedient{
			Seeder: func() report.Exchanger { return poster }, Reporter: g.report, Key: g.seeders.Key,
			Decide: ending.decide, Refused: func(err error) { cfg.Log("%v", err) }, Help: g.askHelp,
		}
	}
	if err := swarm.CheckMetainfo(p.Torrent, p.System, p.Files); err != nil {
		return nil, err
	}
	g.seeders.Use(p.Seeder)
	g.seeders.Learn(p.Seeders)
	var err error
	if g.files, err = OpenFiles(filepath.Join(cfg.Dir, p.System.Name), p.Files); err != nil {
		return nil, err
	}
	if part := p.Part; part != nil {
		if g.part, err = OpenFiles(filepath.Join(part.Dir, part.System.Name), part.Files); err != nil {
			cfg.Log("%s is not given away: %v", part.System.Title, err)
		}
	}
	return g, nil
}

// OpenFiles opens the files of a system's folder, in the order of the list; all or none.
func OpenFiles(dir string, list catalog.FileList) (files []*os.File, err error) {
	for _, f := range list {
		file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil {
			return nil, errors.Join(err, closeAll(files))
		}
		files = append(files, file)
	}
	return files, nil
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Close closes the files.
func (g *Giver) Close() error {
	err := closeAll(append(g.files, g.part...))
	g.files, g.part = nil, nil
	return err
}

// Run gives away until ctx ends, from whatever address the machine has.
func (g *Giver) Run(ctx context.Context) {
	defer g.stop()
	addresses := watchAddress(ctx, g.seeder, g.Log)
	go g.seeders.Watch(ctx)
	tick := time.NewTicker(accountTime)
	defer tick.Stop()
	g.report.Begin(wire.Give)
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-addresses:
			if g.stop(); g.address.IsValid() && !a.IsValid() {
				g.Log("%s has gone from this machine: nothing is given away until there is an address again", g.address)
			}
			g.address = a
			g.start(ctx)
		case now := <-tick.C:
			if g.failed != nil && now.Sub(g.failedAt) >= retryTime {
				g.start(ctx)
			}
		}
		g.account()
		g.Group.BeIdle()
	}
}

// start gives away from the address, if there is one.
func (g *Giver) start(ctx context.Context) {
	if !g.address.IsValid() {
		g.failed = nil
		return
	}
	g.engine, g.failed = g.listen()
	if g.failed == nil {
		if _, g.failed = g.engine.Give(g.Plan.Torrent, g.files, nil); g.failed != nil {
			_ = g.engine.Close()
			g.engine = nil
		}
	}
	if g.failed != nil {
		g.failedAt = time.Now()
		g.Log("%s is not given away: %v", g.Plan.System.Title, g.failed)
		return
	}
	if part := g.Plan.Part; part != nil && g.part != nil {
		if _, err := g.engine.Give(part.Torrent, g.part, nil); err != nil {
			g.Log("%s is not given away: %v", part.System.Title, err)
		}
	}
	g.Log("%s is given away from %s", g.Plan.System.Title, text(g.address, g.engine.Port()))
	g.detach = g.seeders.Attach(g.engine)
	g.startHelper()
	ctx, g.stopReports = context.WithCancel(ctx)
	g.report.Set(func(r *wire.Report) { r.IP = g.address.String() })
	go g.report.RunAt(ctx, g.poster, pace)
}

// listen starts BitTorrent on the port that nodes use, or where the system has something there on any other.
func (g *Giver) listen() (*swarm.Engine, error) {
	cfg := swarm.Config{
		Listen: netip.AddrPortFrom(g.address, g.Plan.Port), UploadLimit: g.Plan.Limits.Upload, MaxPeers: maxPeers, MaxInbound: 2 * maxPeers, Local: true,
		Log: slog.New(slog.NewTextHandler(lineWriter(g.Log), &slog.HandlerOptions{Level: slog.LevelWarn})), Seeders: g.seeders.Swarm(),
	}
	engine, err := swarm.New(cfg)
	if err == nil || g.Plan.Port == 0 {
		return engine, err
	}
	cfg.Listen = netip.AddrPortFrom(g.address, 0)
	if engine, anyErr := swarm.New(cfg); anyErr == nil {
		return engine, nil
	}
	return nil, err
}

// seeder is the address of the seeder; the zero Addr if it is known by a name, which nobody here can look up: that leads nowhere.
func (g *Giver) seeder() netip.Addr {
	a, _ := g.seeders.Addr()
	return a
}

// moved has another seeder know this machine.
func (g *Giver) moved() { g.report.SetNow(func(*wire.Report) {}) }

// stop ends giving away, if that goes on.
func (g *Giver) stop() {
	g.stopReports()
	if g.engine == nil {
		return
	}
	g.stopHelper()
	g.detach()
	if s, ok := g.engine.Stats(g.Plan.System.InfoHash); ok {
		g.before += s.Uploaded
	}
	if err := g.engine.Close(); err != nil {
		g.Log("BitTorrent did not stop cleanly: %v", err)
	}
	g.engine = nil
}

// account puts how it goes into the status and the report.
func (g *Giver) account() {
	s := Status{
		System: g.Plan.System.Name, Title: g.Plan.System.Title, InfoHash: g.Plan.System.InfoHash, State: Waiting, Seeder: g.seeders.Base(),
		Given: g.before, PID: os.Getpid(),
	}
	if g.failed != nil {
		s.Error = g.failed.Error()
	}
	last := g.report.Snapshot().Transfer
	t := last
	t.Down, t.Up, t.Peers = 0, 0, 0
	if g.engine != nil {
		stats, _ := g.engine.Stats(g.Plan.System.InfoHash)
		s.State, s.Address, s.Peers = Giving, text(g.address, g.engine.Port()), stats.Peers
		s.Given += stats.Uploaded
		t.Up, t.Peers, t.Complete, t.Size, t.Done = stats.Up, stats.Peers, stats.Complete, stats.Size, stats.Done
	}
	t.Uploaded = g.Plan.Report.Uploaded + s.Given
	if !reflect.DeepEqual(t, last) {
		g.report.Set(func(r *wire.Report) { r.Transfer = t })
	}
	if err := g.status.set(s); err != nil {
		g.Log("%v", err)
	}
}

// lineWriter is a log as an io.Writer.
type lineWriter func(format string, args ...any)

// Write implements io.Writer.
func (w lineWriter) Write(p []byte) (int, error) {
	w("%s", p)
	return len(p), nil
}

package node

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/boottorrent/boottorrent/initramfs/helper"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// newHelper is what gives phase 1 to machines that start (package helper). Screens say so while one loads it.
func (n *Node) newHelper() *helper.Helper {
	h := helper.New(helper.Config{
		Seeder: n.session.Client, Newest: n.session.seen.Check, Room: n.spare.allows, Engine: n.helperEngine,
		Address: func() netip.Addr { return n.link.lease().Addr.Addr() },
		Dir:     n.HelpDir, Report: n.Report, Log: n.Log,
	})
	if n.Consoles != nil {
		n.Consoles.Note = func() string { return cmp.Or(n.session.Note(), h.Note()) }
	}
	return h
}

// helperEngine is an engine for the helper alone: that of systems comes and goes with them.
func (n *Node) helperEngine() (*swarm.Engine, func(), error) {
	own := n.link.lease().Addr.Addr()
	engine, err := swarm.New(swarm.Config{
		Listen: netip.AddrPortFrom(own, 0), Seeders: n.session.Swarm(), Log: n.download.engineLog, Limits: n.download.limits.get(),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("start BitTorrent on %s: %w", own, err)
	}
	detach := n.session.Attach(engine)
	return engine, func() {
		detach()
		_ = engine.Close()
	}, nil
}

// mayHelp has the helper take asks, beside a system that fits into memory as fits says; nil: there is none.
func (n *Node) mayHelp(fits fits) {
	n.spare.set(fits)
	n.helper.Resume()
}

// fits says, by an error, that there is no room for a system if so many bytes of memory less are free than when it was made.
type fits func(less int64) error

// preflight says before anything is downloaded whether there is room for a system. What the helper takes is given up for it.
func (n *Node) preflight(ctx context.Context, sys catalog.System) error {
	n.helper.Refuse("its own system is about to be fetched")
	var fits fits
	defer func() { n.mayHelp(fits) }()
	fits, err := n.memoryFor(ctx, sys)
	if err == nil && fits(0) != nil {
		n.helper.Stop("its own system needs all memory")
		fits, err = n.memoryFor(ctx, sys)
	}
	if err != nil {
		return err
	}
	return fits(0)
}

// takesAll reports whether a system is a virtual machine that gets all memory there is when it starts.
func takesAll(sys catalog.System) bool {
	q := sys.Launch.QEMU
	return q != nil && !slices.Contains(q.Args, "-m")
}

// spare is what memory the helper may take.
type spare struct {
	mu   sync.Mutex
	fits fits
}

func (s *spare) set(f fits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fits = f
}

// allows says, by an error, that the node has no memory for so many bytes beside its own system, or where it has none yet, beside what must stay
// free for any.
func (s *spare) allows(bytes int64) error {
	s.mu.Lock()
	fits := s.fits
	s.mu.Unlock()
	if fits != nil {
		return fits(bytes)
	}
	free, err := launch.Available()
	if err == nil && free < bytes+launch.Reserve {
		err = fmt.Errorf("too little memory: phase 1 takes %d MiB, and %d MiB stay free; this machine has %d MiB free", bytes>>20, launch.Reserve>>20, free>>20)
	}
	return err
}

// sharedLimits are what all engines of a node send and receive together.
type sharedLimits struct {
	mu     sync.Mutex
	wanted catalog.Limits
	now    *swarm.Limits
}

// set sets the limits of engines that are started from now on, and returns them.
func (s *sharedLimits) set(l catalog.Limits) *swarm.Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil || l != s.wanted {
		s.wanted, s.now = l, swarm.NewLimits(l.Upload, l.Download)
	}
	return s.now
}

// get returns those that were set last.
func (s *sharedLimits) get() *swarm.Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

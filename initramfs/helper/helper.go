// Package helper has a node that is up give phase 1 to machines that start after it, as the seeder does: kernel and initramfs, by HTTP,
// under the same paths. In goes what the seeder asks for in its answers to reports (report.HelpHeader), out comes report.Phase1.
//
// The files are a runtime of the signed catalog (catalog.Phase1Name), which the helper reads anew for each ask, and fetches by the swarm.
// Its fetch runs beside the node's own and shares the link with it: it is small, and the sooner it is done, the fewer machines load the
// image from the seeder, whose link the node's own fetch needs as well. Once they are fetched, the files have no names any more, so their memory
// is free when the helper ends, in whatever way that happens.
package helper

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/logonce"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

const (
	// retryTime is for how long an ask that failed is not tried again. The seeder repeats what it asks for.
	retryTime = 30 * time.Second
	// graceLeast and graceMost bound for how long machines may go on loading from a helper that ends; in between it is the time that its own
	// fetch took, as for a boot part (package node, leaving.go).
	graceLeast, graceMost = 3 * time.Second, 10 * time.Second
	// Port is where it serves, if that is free: the one after BitTorrent's.
	Port = 6882
)

// Config is what a helper needs of the node.
type Config struct {
	// Seeder is the one that the node knows now, with the site's key.
	Seeder func() *client.Client
	// Newest refuses a catalog that is older than one that this node has seen, by its counter.
	Newest func(counter uint64, base string) error
	// Room says, by an error, that the node has no memory for so many bytes.
	Room func(bytes int64) error
	// Address is the node's, at which machines reach it.
	Address func() netip.Addr
	// Engine returns what fetches, and knows the seeder, and what ends the use of it.
	Engine func() (*swarm.Engine, func(), error)
	// Dir is a folder in memory for what is being fetched. The helper makes and removes it.
	Dir    string
	Report *report.Reporter
	// Log writes a line for a person.
	Log func(format string, args ...any)
}

// Helper gives phase 1 away while the seeder asks for it. Its methods may be called from several goroutines.
type Helper struct {
	Config
	complained logonce.Limiter
	counts     counts

	mu sync.Mutex
	// refused is why no ask is taken now; empty: asks are taken.
	refused string
	// now is the ask that is being followed, or was last; nil: there is none.
	now *ask
}

// ask is an image that the seeder asked for.
type ask struct {
	image catalog.InfoHash
	// stop ends it, and done is closed when it has ended.
	stop context.CancelFunc
	done chan struct{}
	// What follows is set before done is closed.
	failed  error
	endedAt time.Time
}

// New returns a helper that takes no asks before Resume.
func New(cfg Config) *Helper { return &Helper{Config: cfg, refused: "it is still starting up"} }

// Ask takes what the seeder asked for, and returns at once.
func (h *Helper) Ask(asked string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if asked == wire.HelpStop {
		if h.now.going() {
			h.Log("phase 1: the seeder asks for no more help")
		}
		h.now.end()
		return
	}
	var image catalog.InfoHash
	if err := image.UnmarshalText([]byte(asked)); err != nil {
		h.sayOnce("phase 1: the seeder asks for help in an unknown way: %v", err)
		return
	}
	switch {
	case h.refused != "" && !(h.now.going() && h.now.image == image):
		h.sayOnce("phase 1: this node can't help the seeder with it now: %s", h.refused)
		return
	case h.now != nil && h.now.image == image && (h.now.going() || time.Since(h.now.endedAt) < retryTime && h.now.failed != nil):
		return
	}
	before := h.now
	before.end()
	ctx, stop := context.WithCancel(context.Background())
	a := &ask{image: image, stop: stop, done: make(chan struct{})}
	h.now = a
	go func() {
		defer close(a.done)
		before.wait()
		a.failed = h.help(ctx, image)
		a.endedAt = time.Now()
		if a.failed != nil && ctx.Err() == nil {
			h.Log("phase 1 is not given away: %v", a.failed)
		}
	}()
}

// Note says in a line how many machines load from this node now; empty: none does.
func (h *Helper) Note() string {
	switch n := h.counts.loading.Load(); n {
	case 0:
		return ""
	case 1:
		return "Another machine is loading phase 1 from this one."
	default:
		return fmt.Sprintf("%d other machines are loading phase 1 from this one.", n)
	}
}

// Refuse has no more asks taken, for a reason. What is given away already goes on.
func (h *Helper) Refuse(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused = why
}

// Resume has asks taken again.
func (h *Helper) Resume() { h.Refuse("") }

// Stop has no more asks taken, ends what is given away, and returns when its memory is free. Machines that are loading from this node
// have a few seconds to finish.
func (h *Helper) Stop(why string) {
	h.mu.Lock()
	h.refused = why
	now := h.now
	now.end()
	h.mu.Unlock()
	now.wait()
}

// sayOnce logs a line that each answer of the seeder's may bring about.
func (h *Helper) sayOnce(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); h.complained.Allow(line, time.Now(), 0) {
		h.Log("%s", line)
	}
}

// going reports whether the ask is being followed.
func (a *ask) going() bool {
	if a == nil {
		return false
	}
	select {
	case <-a.done:
		return false
	default:
		return true
	}
}

func (a *ask) end() {
	if a != nil {
		a.stop()
	}
}

func (a *ask) wait() {
	if a != nil {
		<-a.done
	}
}

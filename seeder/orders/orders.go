// Package orders hands orders (internal/order) to nodes: in go what somebody wants of some machines, and the machines' reports; out come
// signed orders as answers to those reports, and what became of each. No connection is kept open for it: a node gets an order when it
// reports the next time, within 15 s in phase 1 and within 30 s where its system runs.
package orders

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/order"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/room"
)

const (
	// DefaultWait is how long an order waits for the reports of its machines, MaxWait at most: what was said of a machine an hour ago is not
	// to happen now.
	DefaultWait = 90 * time.Second
	MaxWait     = 10 * time.Minute
	// maxBatches is how many are remembered; the oldest one that waits for nobody goes first.
	maxBatches = 64
)

// State is how it stands with a machine.
type State string

// The states. All but Waiting are final.
const (
	// Waiting is for the machine's next report.
	Waiting State = "waiting"
	// Taken says that the machine does it, Refused that it doesn't.
	Taken   State = "taken"
	Refused State = "refused"
	// Unreachable says that nothing of ours runs there, or that it did not report in time.
	Unreachable State = "unreachable"
)

// Result is what became of an order at a machine.
type Result struct {
	MAC string `json:"mac"`
	// Name is what to call the machine.
	Name  string `json:"name"`
	State State  `json:"state"`
	// Text says it in words; empty while it waits.
	Text string `json:"text"`
	boot string
}

// Batch is an order to some machines.
type Batch struct {
	// ID is the orders' counter.
	ID     uint64       `json:"id"`
	Action order.Action `json:"action"`
	System string       `json:"system,omitempty"`
	// Given is when, and Until until when it waits, by the seeder's clock.
	Given time.Time `json:"given"`
	Until time.Time `json:"until"`
	Nodes []Result  `json:"nodes"`
}

// Over reports whether it waits for nobody.
func (b *Batch) Over() bool {
	return !slices.ContainsFunc(b.Nodes, func(r Result) bool { return r.State == Waiting })
}

// Config is what orders need.
type Config struct {
	// Key is the site's secret key, Counter returns the next number of what it signs.
	Key     func() (minisign.PrivateKey, error)
	Counter func() (uint64, error)
	// Catalog is the one that is served; nil: none is yet.
	Catalog func() *catalog.Catalog
	Log     *slog.Logger
	Now     func() time.Time
}

// Orders are those that were given. Its methods may be called from any goroutine.
type Orders struct {
	cfg Config

	mu      sync.Mutex
	batches []*batch
	// pending are the orders that wait, by MAC.
	pending map[string]*waiting
}

type batch struct {
	Batch
	// changed is closed when something has become of it.
	changed chan struct{}
}

// waiting is one machine of a batch.
type waiting struct {
	batch *batch
	node  int
}

// New returns orders of which there are none yet.
func New(cfg Config) *Orders { return &Orders{cfg: cfg, pending: map[string]*waiting{}} }

// Give gives an order to machines, and returns how it stands now. An order that waits for one of them is replaced.
func (o *Orders) Give(action order.Action, system string, machines []room.Machine, wait time.Duration) (Batch, error) {
	if wait <= 0 {
		wait = DefaultWait
	}
	if _, err := o.cfg.Key(); err != nil {
		return Batch{}, err
	}
	// What is wrong with the counter was logged, and is in the seeder's status; numbers grow all the same.
	id, _ := o.cfg.Counter()
	now := o.cfg.Now()
	b := &batch{changed: make(chan struct{}), Batch: Batch{ID: id, Action: action, System: system, Given: now.UTC(), Until: now.Add(min(wait, MaxWait)).UTC()}}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range machines {
		r := Result{MAC: machines[i].MAC, Name: machines[i].Called(), State: Waiting}
		if n := machines[i].Node; n != nil {
			r.boot = n.Boot
		}
		if why := o.outOfReach(&machines[i], now); why != "" {
			r.State, r.Text = Unreachable, why
		} else if action == order.Choose && machines[i].Node.Step == report.Give {
			r.State, r.Text = Refused, fmt.Sprintf("%s runs, and can't be left for another system but by a restart: seeder next, then seeder reboot", machines[i].Node.System)
		}
		b.Nodes = append(b.Nodes, r)
		if r.State == Waiting {
			o.settle(r.MAC, Refused, "another order came before it was heard")
			o.pending[r.MAC] = &waiting{b, i}
		}
	}
	o.remember(b)
	o.cfg.Log.Info("an order is given", "action", action, "system", system, "machines", len(machines), "id", id)
	return b.copy(), nil
}

// outOfReach says why a machine can't get an order; empty: it can, when it reports.
func (o *Orders) outOfReach(m *room.Machine, now time.Time) string {
	n := m.Node
	switch {
	case n == nil:
		return "it has not reported since the seeder was started: it is switched off, or runs nothing of ours"
	case now.Sub(n.Seen) > report.Silence:
		return fmt.Sprintf("it reported last at %s: is it switched off?", n.Seen.Local().Format("15:04"))
	case n.Step == report.Launch && n.State == report.Done && !o.stays(n.System):
		return fmt.Sprintf("it has started %s, and nothing of ours runs there", n.System)
	}
	return ""
}

// stays reports whether a process of ours goes on beside a system that has taken the machine over.
func (o *Orders) stays(system string) bool {
	cat := o.cfg.Catalog()
	if cat == nil {
		return false
	}
	sys, ok := cat.System(system)
	return ok && sys.Launch.Method == catalog.MethodRoot
}

// remember keeps a batch. The caller holds the lock.
func (o *Orders) remember(b *batch) {
	o.batches = append(o.batches, b)
	for len(o.batches) > maxBatches {
		i := max(0, slices.IndexFunc(o.batches, func(b *batch) bool { return b.Over() }))
		for _, r := range o.batches[i].Nodes {
			o.settle(r.MAC, Unreachable, "too many orders were given")
		}
		o.batches = slices.Delete(o.batches, i, i+1)
	}
}

// settle notes what became of the order that waits for a machine, if one does. The caller holds the lock.
func (o *Orders) settle(mac string, state State, text string) {
	w := o.pending[mac]
	if w == nil {
		return
	}
	delete(o.pending, mac)
	r := &w.batch.Nodes[w.node]
	r.State, r.Text = state, text
	close(w.batch.changed)
	w.batch.changed = make(chan struct{})
}

// Waits reports whether an order waits for a machine.
func (o *Orders) Waits(mac string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pending[mac] != nil
}

// Answer returns what a node gets as the answer to a report: a signed order, or nil.
func (o *Orders) Answer(rep report.Report) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expire()
	w := o.pending[rep.MAC]
	if w == nil {
		return nil
	}
	b, r := w.batch, w.batch.Nodes[w.node]
	switch {
	case rep.Boot != r.boot:
		o.settle(rep.MAC, Refused, "it was started anew meanwhile")
		return nil
	case rep.Order != nil && rep.Order.Counter == b.ID:
		state := Taken
		if rep.Order.State == report.OrderRefused {
			state = Refused
		}
		o.cfg.Log.Info("an order is "+string(state), "node", r.Name, "mac", r.MAC, "action", b.Action, "text", rep.Order.Text)
		o.settle(rep.MAC, state, rep.Order.Text)
		return nil
	}
	key, err := o.cfg.Key()
	var signed []byte
	if err == nil {
		signed, err = order.Sign(key, order.Order{MAC: rep.MAC, Boot: rep.Boot, Counter: b.ID, Action: b.Action, System: b.System})
	}
	if err != nil {
		o.settle(rep.MAC, Refused, "it could not be signed: "+err.Error())
		return nil
	}
	return signed
}

// expire gives up the orders whose time is over. The caller holds the lock.
func (o *Orders) expire() {
	now := o.cfg.Now()
	for mac, w := range o.pending {
		if !now.Before(w.batch.Until) {
			o.settle(mac, Unreachable, fmt.Sprintf("it did not report within %s; the order is dropped", w.batch.Until.Sub(w.batch.Given)))
		}
	}
}

// List returns the orders that are remembered, the last one first.
func (o *Orders) List() []Batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expire()
	list := make([]Batch, 0, len(o.batches))
	for _, b := range slices.Backward(o.batches) {
		list = append(list, b.copy())
	}
	return list
}

// Get returns how it stands with an order, once no more than waiting machines are waited for, or ctx ends; a negative number waits for nothing.
func (o *Orders) Get(ctx context.Context, id uint64, waiting int) (Batch, bool) {
	for {
		o.mu.Lock()
		o.expire()
		i := slices.IndexFunc(o.batches, func(b *batch) bool { return b.ID == id })
		if i < 0 {
			o.mu.Unlock()
			return Batch{}, false
		}
		b, changed := o.batches[i].copy(), o.batches[i].changed
		o.mu.Unlock()
		if waiting < 0 || b.waiting() <= waiting || ctx.Err() != nil {
			return b, true
		}
		over := time.NewTimer(b.Until.Sub(o.cfg.Now()))
		select {
		case <-changed:
		case <-over.C:
		case <-ctx.Done():
		}
		over.Stop()
	}
}

// waiting is how many machines are waited for.
func (b *Batch) waiting() (n int) {
	for _, r := range b.Nodes {
		if r.State == Waiting {
			n++
		}
	}
	return n
}

func (b *batch) copy() Batch {
	c := b.Batch
	c.Nodes = slices.Clone(c.Nodes)
	return c
}

// Package history remembers who booted what, when, how long it took and how it went: in go nodes' reports, out come the last boots of each
// machine, over a restart of the seeder.
//
// It is a bbolt file in the site's state. What nodes report is gathered and written every few seconds in one transaction, which is on the
// disk (fdatasync) when it ends: a power failure costs those seconds and never the file. A file that is damaged all the same is moved
// aside, with a message, and a new one is begun; nothing here keeps the seeder from serving.
//
// Reports are of strangers, so there is a limit for everything: boots of a machine, and bytes in all. Beyond it package quota says which
// boot is forgotten first. bbolt's file holds some three times as much as what is in it, and doesn't become smaller.
package history

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/quota"
	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// File is the file's name, below the site's state.
	File = "history.db"
	// maxBoots is how many boots of a machine are kept, maxBytes what all of them take: a boot has some 500 bytes.
	maxBoots = 20
	maxBytes = 32 << 20
	// writeTime is how often what is new is written.
	writeTime = 5 * time.Second
	// settled is after how long a boot that goes on as it was is written again, for its bytes and the time of its last report.
	settled = 5 * time.Minute
	// maxUptime is what is believed of an uptime.
	maxUptime = 10 * 365 * 24 * time.Hour
	// maxError is how much of a message is kept.
	maxError = 300
)

// Boot is one boot of a machine.
type Boot struct {
	MAC string `json:"mac"`
	// ID is the boot's, of its reports.
	ID     string `json:"boot"`
	Name   string `json:"name,omitempty"`
	Group  string `json:"group,omitempty"`
	System string `json:"system,omitempty"`
	// Began is when the machine's kernel started, Seen when it reported last; by the seeder's clock.
	Began time.Time `json:"began"`
	Seen  time.Time `json:"seen"`
	// Step and State are the last ones, Error is the message if it failed.
	Step  report.Step  `json:"step"`
	State report.State `json:"state"`
	Error string       `json:"error,omitempty"`
	// Durations are the seconds that each finished step took.
	Durations map[report.Step]float64 `json:"durations,omitempty"`
	// What came from whom, and what was given away, in bytes.
	FromSeeder int64 `json:"from_seeder,omitempty"`
	FromNodes  int64 `json:"from_nodes,omitempty"`
	FromHTTP   int64 `json:"from_http,omitempty"`
	Uploaded   int64 `json:"uploaded,omitempty"`
	// From is the address that the reports came from.
	From netip.Addr `json:"from,omitzero"`
}

// Phase1 is how many seconds its steps took, until the system was started: waits for a person are among them.
func (b *Boot) Phase1() (seconds float64) {
	for _, s := range b.Durations {
		seconds += s
	}
	return seconds
}

// boot is a Boot with what is known of it here.
type boot struct {
	Boot
	// written is when it was written last; zero: never. dirty says that there is something new since.
	written time.Time
	dirty   bool
	// item is its place in the quota, cost what it takes.
	item *quota.Item[*boot]
}

// History is what is remembered. Its methods may be called from any goroutine.
type History struct {
	log *slog.Logger
	now func() time.Time
	// file is the database. Where it can't be had, the history is of this run only.
	file *file

	mu sync.Mutex
	// boots are those of each machine, the last one last.
	boots map[string][]*boot
	stock *quota.Stock[*boot]
	// gone are the keys of those that are to be taken out of the file.
	gone map[key]bool
	// complained is when it was last logged that nothing can be written.
	complained time.Time
}

// Open opens the history in the folder state, which must exist. That always succeeds: what goes wrong is logged.
func Open(state string, log *slog.Logger, now func() time.Time) *History {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &History{log: log, now: now, boots: map[string][]*boot{}, stock: quota.New[*boot](maxBytes), gone: map[key]bool{}}
	var all []Boot
	h.file, all = openFile(state, log)
	slices.SortFunc(all, func(a, b Boot) int { return a.Began.Compare(b.Began) })
	for _, b := range all {
		h.add(&boot{Boot: b, written: b.Seen})
	}
	return h
}

// Observe takes a report; it is made for fleet.Config.Observe, and does not wait for the disk.
func (h *History) Observe(n report.Node, from netip.Addr) {
	if n.Boot == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.find(n.MAC, n.Boot)
	if b == nil {
		up := time.Duration(min(n.Uptime, maxUptime.Seconds()) * float64(time.Second))
		b = &boot{Boot: Boot{MAC: n.MAC, ID: n.Boot, Began: n.Seen.Add(-up).UTC().Truncate(time.Millisecond), From: from}}
		b.take(n)
		b.dirty = true
		h.add(b)
		return
	}
	news := b.Step != n.Step || b.State != n.State || b.System != n.System || n.Seen.Sub(b.written) > settled
	b.take(n)
	if b.dirty = b.dirty || news; news {
		h.stock.Update(b.item, b.From, b.cost())
		h.evict()
	}
}

// take notes what a report says.
func (b *boot) take(n report.Node) {
	b.Name, b.Group, b.System = cmp.Or(n.Machine, n.Name), n.Group, n.System
	b.Seen = n.Seen.UTC().Truncate(time.Millisecond)
	b.Step, b.State, b.Error = n.Step, n.State, report.Clip(n.Error, maxError)
	b.Durations = maps.Clone(n.Durations)
	b.FromSeeder, b.FromNodes, b.FromHTTP, b.Uploaded = n.FromSeeder, n.FromNodes, n.FromHTTP, n.Uploaded
}

// cost is what a boot takes, in bytes.
func (b *boot) cost() int64 {
	return int64(400 + len(b.ID) + len(b.Name) + len(b.Group) + len(b.System) + len(b.Error) + 24*len(b.Durations))
}

func (h *History) find(mac, id string) *boot {
	for _, b := range slices.Backward(h.boots[mac]) {
		if b.ID == id {
			return b
		}
	}
	return nil
}

// add keeps a boot that is new; others may have to go for it.
func (h *History) add(b *boot) {
	b.item = h.stock.Add(b.From, b.cost(), b)
	h.boots[b.MAC] = append(h.boots[b.MAC], b)
	if all := h.boots[b.MAC]; len(all) > maxBoots {
		h.drop(all[0])
	}
	h.evict()
}

func (h *History) evict() {
	for item := h.stock.Excess(); item != nil; item = h.stock.Excess() {
		h.drop(item.Value)
	}
}

func (h *History) drop(b *boot) {
	h.stock.Remove(b.item)
	left := slices.DeleteFunc(h.boots[b.MAC], func(o *boot) bool { return o == b })
	if h.boots[b.MAC] = left; len(left) == 0 {
		delete(h.boots, b.MAC)
	}
	if !b.written.IsZero() {
		h.gone[keyOf(&b.Boot)] = true
	}
}

// MACs are the addresses of the machines of which boots are known, in no order.
func (h *History) MACs() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.boots))
}

// Boots are the last boots of a machine (aa:bb:cc:dd:ee:ff), the last one first; of all machines for an empty address.
func (h *History) Boots(mac string) (all []Boot) {
	all = h.copies(mac)
	for i := range all {
		all[i].Durations = maps.Clone(all[i].Durations)
	}
	slices.SortFunc(all, func(a, b Boot) int { return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(a.MAC, b.MAC)) })
	return all
}

// copies are the boots of a machine, of all for an empty address, in no order. No report waits for more than that: their Durations are those
// kept here, which are never changed, only replaced.
func (h *History) copies(mac string) (all []Boot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if mac != "" {
		for _, b := range h.boots[mac] {
			all = append(all, b.Boot)
		}
		return all
	}
	for _, boots := range h.boots {
		for _, b := range boots {
			all = append(all, b.Boot)
		}
	}
	return all
}

// Last is the last boot of each machine, in no order; their Durations are nil.
func (h *History) Last() []Boot {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Boot, 0, len(h.boots))
	for _, boots := range h.boots {
		last := boots[len(boots)-1].Boot
		last.Durations = nil
		all = append(all, last)
	}
	return all
}

// Run writes what is new until ctx ends, and then the rest.
func (h *History) Run(ctx context.Context) {
	ticker := time.NewTicker(writeTime)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			h.write()
			h.file.close()
			return
		case <-ticker.C:
			h.write()
		}
	}
}

// write writes what is new in one transaction. What can't be written is tried again the next time.
func (h *History) write() {
	h.mu.Lock()
	put, gone := map[key][]byte{}, h.gone
	var dirty []*boot
	now := h.now()
	for _, boots := range h.boots {
		for _, b := range boots {
			if !b.dirty {
				continue
			}
			text, err := json.Marshal(&b.Boot)
			if err == nil {
				put[keyOf(&b.Boot)] = text
			}
			b.dirty, b.written = false, now
			dirty = append(dirty, b)
		}
	}
	h.gone = map[key]bool{}
	h.mu.Unlock()
	if len(put)+len(gone) == 0 {
		return
	}
	err := h.file.update(put, gone)
	if err == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range dirty {
		b.dirty = true
	}
	if damaged(err) { // the file is a new one
		for _, boots := range h.boots {
			for _, b := range boots {
				b.dirty = true
			}
		}
	}
	for k := range gone {
		h.gone[k] = true
	}
	if now.Sub(h.complained) >= time.Minute {
		h.complained = now
		h.log.Warn("the history of boots can't be written; it is tried again", "err", err)
	}
}

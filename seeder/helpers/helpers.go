// Package helpers decides from where a machine that starts loads phase 1: in go the machines that ask for the boot script, what the seeder sends of
// kernel and initramfs, and nodes' reports; out come, for each machine, the seeder, a node that gives phase 1 away (a helper), or that
// it waits, and for a node's report whether it is asked to help.
//
// The seeder's link is what a room waits for: N machines that load at once all end at the same late time, and none of them can help before.
// So the seeder serves only as many at a time as fill its link, and when the rest would wait longer than a helper needs until it helps, nodes that
// are up are asked. Each fetches the image over BitTorrent, checks it against the signed catalog, and serves it by HTTP.
//
// A helper is one whose report comes from the address at which it serves, and which was asked. The seeder compares what it serves, at random places,
// with the image before machines are sent there and again every few seconds. That finds what is broken, not what is malicious: docs/security.md.
package helpers

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Image is phase 1 for one architecture, as nodes are given it.
type Image struct {
	InfoHash catalog.InfoHash
	Files    []File
}

// File is a file of an image.
type File struct {
	// Path is where it is below a base URL (catalog.BootPath), Name the same file here; Size is in bytes.
	Path, Name string
	Size       int64
}

// size is that of the whole image, in bytes.
func (i *Image) size() (sum int64) {
	for _, f := range i.Files {
		sum += f.Size
	}
	return sum
}

// has reports whether a path is one of the image's files.
func (i *Image) has(path string) bool {
	for _, f := range i.Files {
		if f.Path == path {
			return true
		}
	}
	return false
}

// Config is what a book needs.
type Config struct {
	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now
	// On says whether nodes may be asked; nil: they may not. Machines then load from the seeder, as many at a time as come.
	On func() bool
	// Group says to which network a machine belongs: helpers serve those of their own. Nil: all belong to one.
	Group func(netip.Addr) netip.Prefix
	// Client asks helpers; nil: a client of its own, which follows no redirect and knows no proxy.
	Client *http.Client
}

// Book has the machines that load phase 1 and the nodes that help. Its methods may be called from any goroutine.
type Book struct {
	cfg Config
	log *slog.Logger
	// due wakes Run.
	due chan struct{}

	mu       sync.Mutex
	images   map[string]*Image // by their infohashes, in hexadecimal
	machines map[netip.Addr]*machine
	helpers  map[netip.Addr]*helper
	pace     pace
	// helperTime is how long a load from a helper took of late.
	helperTime time.Duration
	// arrivals are when machines asked for the first time, the last maxArrivals of them.
	arrivals []time.Time
	counts   Counts
	// hushed is until when the seeder's link is left to the first helper of a network, hushGroup.
	hushed    time.Time
	hushGroup netip.Prefix
}

// Counts are what was sent of phase 1 since the seeder was started, and what goes on now.
type Counts struct {
	// FromSeeder is what the seeder has sent by HTTP, FromHelpers what nodes say that they have sent, in bytes.
	FromSeeder  int64 `json:"from_seeder"`
	FromHelpers int64 `json:"from_helpers"`
	// LoadsSeeder and LoadsHelpers are how many machines said that they had loaded all of it, by where it came from; Fallbacks are how many were sent
	// to a helper and came back to the seeder.
	LoadsSeeder  int64 `json:"loads_seeder"`
	LoadsHelpers int64 `json:"loads_helpers"`
	Fallbacks    int64 `json:"fallbacks"`
	// Helpers is how many nodes help, Loading how many machines load from anybody, Waiting how many wait for that.
	Helpers int `json:"helpers"`
	Loading int `json:"loading"`
	Waiting int `json:"waiting"`
}

// New returns a book without images: until there are any, machines load from the seeder.
func New(cfg Config) *Book {
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.On == nil {
		cfg.On = func() bool { return false }
	}
	if cfg.Group == nil {
		cfg.Group = func(netip.Addr) netip.Prefix { return netip.Prefix{} }
	}
	if cfg.Client == nil {
		cfg.Client = newClient()
	}
	return &Book{
		cfg: cfg, log: cfg.Log, due: make(chan struct{}, 1), images: map[string]*Image{}, machines: map[netip.Addr]*machine{},
		helpers: map[netip.Addr]*helper{}, pace: pace{limit: 1}, helperTime: assumedTime,
	}
}

// Offer says which images nodes can be asked to give away, in place of those before.
func (b *Book) Offer(images []Image) {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.images)
	for _, i := range images {
		b.images[i.InfoHash.String()] = &i
	}
	for addr, h := range b.helpers {
		if b.images[h.image] == nil {
			delete(b.helpers, addr) // it serves what is no longer loaded; it is asked for the new image when that is needed
		}
	}
}

// Counts returns what was counted.
func (b *Book) Counts() Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, c := b.cfg.Now(), b.counts
	b.expire(now)
	for _, m := range b.machines {
		switch m.state {
		case loading:
			c.Loading++
		case waiting:
			c.Waiting++
		}
	}
	for _, h := range b.helpers {
		if h.usable(now) {
			c.Helpers++
		}
	}
	return c
}

// Run tries helpers until ctx ends.
func (b *Book) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		b.tryDue(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-b.due:
		}
	}
}

// wake has Run look whom it has to try.
func (b *Book) wake() {
	select {
	case b.due <- struct{}{}:
	default: // it is awake
	}
}

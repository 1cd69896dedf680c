// Package siblings knows the seeders of a site that stand beside this one: in go the requests of mirrors ([Book.Note]) and the list of the
// seeder that this one follows, if it is a mirror itself ([Book.Follow]); out comes the list that machines get (catalog.PathSeeders).
//
// The list is a hint: machines believe only what the site's key has signed, whoever hands it on. Nobody can have a seeder send requests to
// strangers: a mirror is looked at only at the address that its own request came from, once, then rarely, and few are at one time. Anybody
// who can be reached there and hands on a catalog of the site counts as a mirror, as catalogs are no secret.
package siblings

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	// forgetTime is how long after its last request a mirror is forgotten. They ask every few seconds.
	forgetTime = 90 * time.Second
	// A mirror that answered is looked at again after againTime; one that didn't after retryTime, then twice that, until againTime.
	againTime, retryTime = 10 * time.Minute, 2 * time.Second
	// lookTime is how long a look may take, and maxLooks how many there are at a time.
	lookTime = 10 * time.Second
	maxLooks = 4
	// perAddress is how many mirrors one address may have, and maxKnown how many are known, listed or not.
	perAddress = 8
	maxKnown   = 2 * catalog.MaxSeeders
)

// Config is what a Book needs.
type Config struct {
	// Look reports why no catalog of the site is served at a base URL; nil: one is.
	Look func(ctx context.Context, base string) error
	// Own reports whether it is this seeder that is reached at an address and port by HTTP.
	Own func(netip.AddrPort) bool
	// File is where the list of the seeder that is followed is kept over a restart; empty: it is not kept.
	File string
	Log  *slog.Logger
	Now  func() time.Time
}

// Book is the seeders that are known. Its methods may be called concurrently.
type Book struct {
	cfg Config

	mu      sync.Mutex
	mirrors map[netip.AddrPort]*entry // by where they are reached by HTTP
	looks   int
	// above is the list of the seeder that is followed; empty: none is, or it has none.
	above []catalog.SeederAddress
}

// entry is a mirror.
type entry struct {
	Mirror
	// look is when it is to be looked at, looking that it is at this moment; failures is how often it did not answer since it last did.
	look     time.Time
	looking  bool
	failures int
}

// Mirror is a mirror as others are told of it.
type Mirror struct {
	catalog.SeederAddress
	// Listed says that it serves a catalog of the site; Trouble why it is not listed, empty as long as that isn't known.
	Listed  bool   `json:"listed"`
	Trouble string `json:"trouble,omitempty"`
	// Since is when it was first heard of, Seen when it asked last. Both by this seeder's clock.
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"`
	// Counter is that of the catalog that it serves, 0 if it serves none yet; Size and Done are the bytes that it means to have and has.
	Counter uint64 `json:"counter"`
	Size    int64  `json:"size"`
	Done    int64  `json:"done"`
	// Complete and Incomplete are how many peers its tracker says that it knows, of those that have all of a system and of those that don't.
	Complete   int `json:"complete"`
	Incomplete int `json:"incomplete"`
}

// New returns a book that knows nobody but whom the list names that was kept.
func New(cfg Config) *Book {
	b := &Book{cfg: cfg, mirrors: map[netip.AddrPort]*entry{}}
	b.recall()
	return b
}

// Note takes what came from an address in [Header], and looks at who is new, in another goroutine.
func (b *Book) Note(from netip.Addr, header string) {
	hello, err := ParseHello(header)
	if err != nil || !from.IsValid() {
		b.cfg.Log.Debug("a mirror is not noted", "address", from, "err", err)
		return
	}
	at := netip.AddrPortFrom(from.Unmap().WithZone(""), hello.HTTP)
	if b.cfg.Own(at) {
		return
	}
	now := b.cfg.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now)
	e := b.mirrors[at]
	if e == nil {
		if !b.room(at.Addr()) {
			return
		}
		e = &entry{look: now}
		e.HTTP, e.Since = "http://"+at.String(), now
		b.mirrors[at] = e
	}
	e.Torrent, e.Seen = netip.AddrPortFrom(at.Addr(), hello.Torrent), now
	e.Counter, e.Size, e.Done = hello.Counter, hello.Size, hello.Done
	if hello.Counter > 0 && !e.looking && !now.Before(e.look) && b.looks < maxLooks {
		e.looking = true
		b.looks++
		go b.look(e, e.HTTP)
	}
}

// forget drops who has not asked for long. The caller holds the lock.
func (b *Book) forget(now time.Time) {
	for at, e := range b.mirrors {
		if now.Sub(e.Seen) >= forgetTime {
			delete(b.mirrors, at)
			if e.Listed {
				b.cfg.Log.Info("a mirror asks no longer, and is not listed any more", "mirror", e.HTTP)
			}
		}
	}
}

// room makes room for one more mirror at an address, and reports whether there is any. The caller holds the lock.
func (b *Book) room(addr netip.Addr) bool {
	same := 0
	var oldest netip.AddrPort
	for at, e := range b.mirrors {
		if at.Addr() == addr {
			same++
		}
		if !e.Listed && !e.looking && (!oldest.IsValid() || e.Seen.Before(b.mirrors[oldest].Seen)) {
			oldest = at
		}
	}
	if same >= perAddress {
		return false
	}
	if len(b.mirrors) < maxKnown {
		return true
	}
	delete(b.mirrors, oldest)
	return oldest.IsValid()
}

// look looks whether a mirror serves a catalog of the site.
func (b *Book) look(e *entry, base string) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	err := b.cfg.Look(ctx, base)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks--
	e.looking = false
	if err == nil {
		if !e.Listed {
			b.cfg.Log.Info("a mirror serves the site, and is listed", "mirror", base, "torrent", e.Torrent)
		}
		e.Listed, e.Trouble, e.failures, e.look = true, "", 0, b.cfg.Now().Add(againTime)
		return
	}
	if trouble := fmt.Sprintf("it is not reached at the address that its requests come from: %v", err); e.Trouble == "" || e.Listed {
		b.cfg.Log.Warn("a mirror is not listed for machines", "mirror", base, "err", err)
		e.Trouble = trouble
	}
	e.Listed = false
	e.look = b.cfg.Now().Add(min(againTime, retryTime<<min(e.failures, 20)))
	e.failures++
}

// Count notes how many peers the tracker of a mirror knows.
func (b *Book) Count(base string, complete, incomplete int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.mirrors {
		if e.HTTP == base {
			e.Complete, e.Incomplete = complete, incomplete
		}
	}
}

// Mirrors are those that follow this seeder, sorted by where they are reached.
func (b *Book) Mirrors() []Mirror {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(b.cfg.Now())
	all := make([]Mirror, 0, len(b.mirrors))
	for _, e := range b.mirrors {
		all = append(all, e.Mirror)
	}
	slices.SortFunc(all, func(x, y Mirror) int { return strings.Compare(x.HTTP, y.HTTP) })
	return all
}

// Known is the base URL of the mirror that has sent [Header] with a request from an address; empty: it is none that is listed. undecided says that it
// may be in a moment, as after a start of this seeder.
func (b *Book) Known(from netip.Addr, header string) (base string, undecided bool) {
	hello, err := ParseHello(header)
	if err != nil {
		return "", false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.mirrors[netip.AddrPortFrom(from.Unmap().WithZone(""), hello.HTTP)]
	if e == nil || b.cfg.Now().Sub(e.Seen) >= forgetTime {
		return "", true
	}
	if !e.Listed {
		return "", e.Trouble == ""
	}
	return e.HTTP, false
}

// List is the list for somebody who has asked this seeder where self says: itself first, then the seeder that it follows and those that that one
// lists, then its own mirrors.
func (b *Book) List(self catalog.SeederAddress) catalog.SeederList {
	list := catalog.SeederList{Seeders: []catalog.SeederAddress{self}}
	b.mu.Lock()
	others := slices.Clone(b.above)
	b.mu.Unlock()
	for _, m := range b.Mirrors() {
		if m.Listed {
			others = append(others, m.SeederAddress)
		}
	}
	for _, s := range others {
		same := func(o catalog.SeederAddress) bool { return o.HTTP == s.HTTP }
		if len(list.Seeders) < catalog.MaxSeeders && !slices.ContainsFunc(list.Seeders, same) && !b.Is(s.HTTP) {
			list.Seeders = append(list.Seeders, s)
		}
	}
	return list
}

// Is reports whether a base URL is this seeder's own.
func (b *Book) Is(base string) bool {
	host := strings.TrimPrefix(base, "http://")
	at, err := netip.ParseAddrPort(host)
	if err != nil { // it may be without a port
		var addr netip.Addr
		addr, err = netip.ParseAddr(host)
		at = netip.AddrPortFrom(addr, 80)
	}
	return err == nil && b.cfg.Own(at)
}

// Package local decides which machines the boot script sends to their own disk before phase 1 is loaded: in go the catalog's rules and what
// firmware says of a machine, and machines' own wishes to start their disk at their next start ([Book.Handler]); out comes an [Answer].
package local

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/rules"
)

const (
	// wishTime is for how long a machine's wish holds: servers take minutes to start.
	wishTime = 10 * time.Minute
	// again is how soon after an answer a machine that asks again did not come to its disk: it gets phase 1, which can say what is wrong.
	again = time.Minute
	// most is how many machines are remembered. Those whose time is over are forgotten first; then nobody more is taken.
	most = 20_000
)

// Answer is what the boot script says to a machine.
type Answer struct {
	// Disk says that the firmware starts the machine's own disk.
	Disk bool
	// Wait is for how many seconds a person can press a key for the menu before that.
	Wait int
	// Why is the reason, in words.
	Why string
}

// Config is what a Book needs.
type Config struct {
	Log *slog.Logger
	// Catalog is what nodes get; nil: nothing yet.
	Catalog func() *catalog.Catalog
	// Has reports whether a machine (aa:bb:cc:dd:ee:ff) has an address, as far as that can be known.
	Has func(mac string, addr netip.Addr) bool
	// HandOn is told of each wish that is taken, with the address that it came from, and of each machine that is sent to its disk; it must
	// return at once. Nil: nobody is told.
	HandOn func(catalog.LocalRequest, netip.Addr)
	// Done is told which machine followed which catalog.Next; may be nil.
	Done func(id, mac string)
	// Now is the clock.
	Now func() time.Time
}

// Book knows which machines want their disk, and which were sent there. Its methods may be called concurrently.
type Book struct {
	cfg Config

	mu sync.Mutex
	// wishes are until when a machine that asks is sent to its disk, once; sent is when it was told so last.
	wishes, sent map[string]time.Time
}

// New returns a book without a wish in it.
func New(cfg Config) *Book {
	return &Book{cfg: cfg, wishes: map[string]time.Time{}, sent: map[string]time.Time{}}
}

// Wish notes that a machine wants its disk at its next start. from is where the wish came from, which must be the machine's address.
func (b *Book) Wish(mac string, from netip.Addr) error {
	if !b.cfg.Has(mac, from) {
		return fmt.Errorf("the address %s is not known to be that of the machine %s, and only the machine itself can say that it starts its disk", from, mac)
	}
	now := b.cfg.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	forget(b.wishes, now, 0)
	if _, known := b.wishes[mac]; !known && len(b.wishes) >= most {
		return fmt.Errorf("%d machines want to start their disk already; try again in some minutes", most)
	}
	b.wishes[mac] = now.Add(wishTime)
	b.cfg.Log.Info("a machine restarts and starts its own disk then", "mac", mac, "address", from.String())
	b.handOn(catalog.LocalRequest{MAC: mac}, from)
	return nil
}

func (b *Book) handOn(r catalog.LocalRequest, from netip.Addr) {
	if b.cfg.HandOn != nil {
		b.cfg.HandOn(r, from)
	}
}

// Sent notes that a mirror has sent a machine to its disk: its wish is used up, and what it follows.
func (b *Book) Sent(mac, next string, from netip.Addr) {
	now := b.cfg.Now()
	b.handOn(catalog.LocalRequest{MAC: mac, Sent: true, Next: next}, from)
	b.takeWish(mac, now)
	if next != "" && b.cfg.Done != nil {
		b.cfg.Done(next, mac)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	forget(b.sent, now, again)
	if len(b.sent) < most {
		b.sent[mac] = now
	}
	b.cfg.Log.Info("a machine behind a mirror starts its own disk", "mac", mac)
}

// forget removes what is older than an age, if there is much.
func forget(m map[string]time.Time, now time.Time, age time.Duration) {
	if len(m) < most/2 {
		return
	}
	for mac, t := range m {
		if now.Sub(t) > age {
			delete(m, mac)
		}
	}
}

// Possible reports whether any machine may be sent to its disk, so that it is worth asking which one it is.
func (b *Book) Possible() bool {
	b.mu.Lock()
	wishes := len(b.wishes)
	b.mu.Unlock()
	cat := b.cfg.Catalog()
	return wishes > 0 || cat != nil && possible(cat)
}

func possible(cat *catalog.Catalog) bool {
	if cat.Defaults.System == catalog.StartLocal {
		return true
	}
	for _, g := range cat.Rules.Groups {
		if g.Next == catalog.StartLocal || g.Default != nil && *g.Default == catalog.StartLocal {
			return true
		}
	}
	for _, n := range cat.Rules.Next {
		if n.What == catalog.StartLocal {
			return true
		}
	}
	return false
}

// Ask answers a machine of which firmware has told some facts. A wish is used up by the answer, and so is what was said for once.
func (b *Book) Ask(f rules.Facts) Answer {
	now := b.cfg.Now()
	if b.takeWish(f.MAC, now) {
		b.handOn(catalog.LocalRequest{MAC: f.MAC, Sent: true}, f.Addr)
		return b.sends(f.MAC, now, Answer{Disk: true, Why: "it was asked for on the machine"})
	}
	cat := b.cfg.Catalog()
	if cat == nil || b.wasSent(f.MAC, now) {
		return Answer{}
	}
	a, id := Early(cat, f)
	if !a.Disk {
		return a
	}
	if id != "" && b.cfg.Done != nil {
		b.cfg.Done(id, f.MAC)
	}
	b.handOn(catalog.LocalRequest{MAC: f.MAC, Sent: true, Next: id}, f.Addr)
	return b.sends(f.MAC, now, a)
}

func (b *Book) takeWish(mac string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.wishes[mac]
	delete(b.wishes, mac)
	return ok && now.Before(until)
}

// wasSent reports whether a machine was sent to its disk just now.
func (b *Book) wasSent(mac string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.sent[mac]
	return ok && now.Sub(at) < again
}

func (b *Book) sends(mac string, now time.Time, a Answer) Answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	forget(b.sent, now, again)
	if len(b.sent) < most {
		b.sent[mac] = now
	}
	b.cfg.Log.Info("a machine starts its own disk; phase 1 is not loaded", "mac", mac, "because", a.Why)
	return a
}

// Early says what a catalog's rules say of a machine before phase 1 is loaded, and which catalog.Next they follow: it starts its disk if that is
// certain by what is known of it, and no menu is wanted. A hidden menu leaves its timeout to press a key.
func Early(cat *catalog.Catalog, f rules.Facts) (a Answer, next string) {
	d := rules.For(cat, f)
	if d.Next != "" {
		// In an unknown group it is for the machine itself, and those come before what is for groups.
		return Answer{Disk: d.Next == catalog.StartLocal, Why: d.Because["next"]}, d.NextID
	}
	if len(d.Unknown) > 0 || *d.Settings.Default != catalog.StartLocal {
		return Answer{}, ""
	}
	timeout := *d.Settings.Timeout
	if timeout == 0 || timeout > 0 && d.Settings.Menu == catalog.MenuHidden {
		return Answer{Disk: true, Wait: timeout, Why: "it is the default of " + d.Because["default"]}, ""
	}
	return Answer{}, ""
}

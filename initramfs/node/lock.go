package node

import (
	"context"
	"slices"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/rules"
)

const (
	// lockTries is how many wrong passwords in a row are followed by a pause of lockPause. It slows down whoever types; whoever has the
	// catalog, which everybody in the network can fetch, guesses elsewhere.
	lockTries = 3
	lockPause = 30 * time.Second
)

// lock keeps what a locked menu is to keep: everything but the default.
type lock struct {
	mu sync.Mutex
	// hashes are of the passwords that open it (bcrypt); nil: it is not locked.
	hashes []string
	// wrong counts wrong passwords in a row; none is looked at before until.
	wrong int
	until time.Time
}

// newLock returns a lock that holds until the site's rules are known: an image of a site with locked menus has their passwords, since
// otherwise who pulls the cable out gets the shell of a node in trouble, and plugs it in again.
func newLock(passwords []string) *lock { return &lock{hashes: slices.Clone(passwords)} }

// set goes by what the rules say.
func (l *lock) set(s catalog.Settings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hashes = nil
	if s.Menu == catalog.MenuLocked {
		l.hashes = []string{s.Password}
	}
}

// locked reports whether a password is wanted.
func (l *lock) locked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.hashes) > 0
}

// guard is what a screen needs to ask for the password. The answers go to its events until ctx ends.
func (l *lock) guard(ctx context.Context, events chan<- tea.Msg) menu.Lock {
	if !l.locked() {
		return menu.Lock{}
	}
	var mu sync.Mutex
	begun := 0
	check := func(try int, password string) { // every console's copy of the screen calls it
		mu.Lock()
		defer mu.Unlock()
		if try <= begun {
			return
		}
		begun = try
		go func() {
			select {
			case events <- l.try(try, password, time.Now):
			case <-ctx.Done():
			}
		}()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return menu.Lock{Check: check, Until: l.until}
}

func (n *Node) guard(ctx context.Context, events chan<- tea.Msg) menu.Lock {
	return n.lock.guard(ctx, events)
}

// try finds out whether a password is right, which takes bcrypt's time: a good part of a second, several on a slow machine.
func (l *lock) try(number int, password string, now func() time.Time) menu.PasswordMsg {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now().Before(l.until) {
		return menu.PasswordMsg{Try: number, Until: l.until}
	}
	right := slices.ContainsFunc(l.hashes, func(hash string) bool { return rules.CheckPassword(hash, password) })
	if l.wrong++; right {
		l.wrong = 0
	}
	if l.wrong >= lockTries {
		l.wrong, l.until = 0, now().Add(lockPause)
	}
	return menu.PasswordMsg{Try: number, Right: right, Until: l.until}
}

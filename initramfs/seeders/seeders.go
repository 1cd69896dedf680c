// Package seeders is what a node knows of its site's seeders: its own one, which answered it first, and the others, with which it goes on when its
// own one dies, in the middle of whatever it does.
//
// The others come from the own one's list (catalog.SeederList), which nobody vouches for, and from the addresses in the signed catalog. A seeder is
// taken only if it serves a catalog that is signed with the site's key and is not older than one that was seen (package seen). What it sends
// afterwards is verified by that catalog, and one that sends anything else is left for the next.
//
// A node that has left its seeder stays with the other one until that dies too, or until it looks for a seeder again: after a guest system has ended,
// after a catalog that could not be read, and with its next boot.
package seeders

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/logonce"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// Config is what the seeders of a node are to it.
type Config struct {
	// Key is the site's public key.
	Key minisign.PublicKey
	// Newest refuses a catalog that is older than one that this node has seen, by its counter.
	Newest func(counter uint64, base string) error
	// Near reports whether an address is in the node's own subnet: such a seeder goes before others. nil: nobody knows.
	Near func(netip.Addr) bool
	// Refresh is about how often the own seeder's list is read.
	Refresh time.Duration
	// Log writes a line for a person.
	Log func(format string, args ...any)
	// Moved is called when the node goes on with another seeder, from any goroutine; it may be nil.
	Moved func()
}

// Engine is told whom the node knows; swarm.Engine is one.
type Engine interface {
	SetSeeders([]swarm.Seeder)
}

// Seeders are those that a node knows. Make one with New; its methods may be called from any goroutine.
type Seeders struct {
	Config
	// own is nil before a seeder was found.
	own atomic.Pointer[own]
	// wake has a value when Watch is to look at once.
	wake  chan struct{}
	said  logonce.Limiter
	times times
	// moving is held by whoever looks for another one.
	moving sync.Mutex

	mu sync.Mutex
	// torrent is where the own one's seed takes connections; zero: not known.
	torrent netip.AddrPort
	// others are those told by lists, those of the newest list first. hints are base URLs of the signed catalog.
	others []catalog.SeederAddress
	hints  []string
	// engines are told of every change.
	engines map[Engine]bool
	silence silence
	// refused are the base URLs of those that sent what this node must not take, in this boot.
	refused map[string]bool
	// watched is that Watch runs; judged is closed, and replaced, when it has found out how it stands with the own one.
	watched bool
	judged  chan struct{}
	// note is for screens until a time.
	note      string
	noteUntil time.Time
}

// own is the own seeder.
type own struct {
	*client.Client
	// used ends, by leave, when another one is taken.
	used  context.Context
	leave context.CancelFunc
}

// New returns what knows no seeder yet.
func New(cfg Config) *Seeders {
	return &Seeders{
		Config: cfg, times: defaultTimes, wake: make(chan struct{}, 1), judged: make(chan struct{}), engines: map[Engine]bool{}, refused: map[string]bool{},
	}
}

// At returns what speaks to a seeder.
func (s *Seeders) At(base string) *client.Client { return &client.Client{Base: base, Key: s.Key} }

// Client speaks to the own seeder; nil before one was found.
func (s *Seeders) Client() *client.Client {
	if now := s.own.Load(); now != nil {
		return now.Client
	}
	return nil
}

// Base is the own seeder's base URL; empty before one was found.
func (s *Seeders) Base() string {
	if c := s.Client(); c != nil {
		return c.Base
	}
	return ""
}

// Use makes a seeder that was found the own one.
func (s *Seeders) Use(base string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.own.Load()
	if before != nil && before.Base == base {
		return
	}
	s.silence = silence{}
	if before != nil { // it may come back
		s.others = append(s.others, catalog.SeederAddress{HTTP: before.Base, Torrent: s.torrent})
	}
	s.torrent = netip.AddrPort{}
	s.others = slices.DeleteFunc(s.others, func(a catalog.SeederAddress) bool {
		if a.HTTP == base {
			s.torrent = a.Torrent
		}
		return a.HTTP == base
	})
	used, leave := context.WithCancel(context.Background())
	s.own.Store(&own{s.At(base), used, leave})
	if before != nil {
		before.leave()
	}
	s.tell()
	s.look()
}

// look has Watch look.
func (s *Seeders) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Learn notes what a list says, in which the own seeder comes first. Those that it no longer names come after those that it does.
func (s *Seeders) Learn(list []catalog.SeederAddress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	base, before := s.Base(), s.swarm()
	var others []catalog.SeederAddress
	for i, a := range slices.Concat(list, s.others) {
		switch {
		case i == 0 && len(list) > 0:
			s.torrent = a.Torrent
		case a.HTTP == base:
		case len(others) < catalog.MaxSeeders && !slices.ContainsFunc(others, func(b catalog.SeederAddress) bool { return b.HTTP == a.HTTP }):
			others = append(others, a)
		}
	}
	s.others = others
	if !slices.Equal(before, s.swarm()) {
		s.tell()
	}
}

// Hint notes the base URLs that a catalog of the site lists. They come last.
func (s *Seeders) Hint(bases []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(bases, s.hints) {
		s.hints = bases
		s.tell()
	}
}

// Known are the own seeder, if there is one, and the others, to be handed on to another program of this node and learned there.
func (s *Seeders) Known() []catalog.SeederAddress {
	s.mu.Lock()
	defer s.mu.Unlock()
	var known []catalog.SeederAddress
	for _, a := range s.swarm() {
		known = append(known, catalog.SeederAddress(a))
	}
	return known
}

// Swarm are those that BitTorrent is to know: the own one first. Of one of which only the address is known, the port is 0.
func (s *Seeders) Swarm() []swarm.Seeder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.swarm()
}

func (s *Seeders) swarm() (all []swarm.Seeder) {
	if base := s.Base(); base != "" {
		torrent := s.torrent
		if a, err := hostOf(base); err == nil && (!torrent.IsValid() || torrent.Addr().IsUnspecified()) {
			torrent = netip.AddrPortFrom(a, torrent.Port())
		}
		all = append(all, swarm.Seeder{HTTP: base, Torrent: torrent})
	}
	for _, o := range s.others {
		all = append(all, swarm.Seeder(o))
	}
	for _, hint := range s.hints {
		if !slices.ContainsFunc(all, func(k swarm.Seeder) bool { return k.HTTP == hint }) {
			all = append(all, swarm.Seeder{HTTP: hint})
		}
	}
	return all
}

// Attach has an engine told whom the node knows, now and whenever that changes, until the function that it returns is called.
func (s *Seeders) Attach(e Engine) (detach func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engines[e] = true
	e.SetSeeders(s.swarm())
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.engines, e)
	}
}

// tell tells the engines.
func (s *Seeders) tell() {
	for e := range s.engines {
		e.SetSeeders(s.swarm())
	}
}

// Addr is the own seeder's address.
func (s *Seeders) Addr() (netip.Addr, error) {
	a, err := hostOf(s.Base())
	if err == nil {
		return a, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.torrent.Addr(); t.IsValid() && !t.IsUnspecified() {
		return t, nil
	}
	return a, err
}

// hostOf is the address in a base URL.
func hostOf(base string) (netip.Addr, error) {
	u, err := url.Parse(base)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the seeder's URL: %w", err)
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the seeder's URL %s: want an address, not a name: %w", base, err)
	}
	return a, nil
}

// Numeric returns a seeder's base URL with its address instead of its name: peers are known by address.
func Numeric(ctx context.Context, base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("the seeder's URL: %w", err)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil || u.Scheme != "http" {
		return base, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", u.Hostname())
	if err != nil {
		return "", fmt.Errorf("the address of the seeder %s: %w; give the address instead of the name", base, err)
	}
	u.Host = net.JoinHostPort(addrs[0].Unmap().String(), cmp.Or(u.Port(), "80"))
	return u.String(), nil
}

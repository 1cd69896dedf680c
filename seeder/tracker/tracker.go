// Package tracker is an HTTP BitTorrent tracker for the torrents of one site: in go announces and scrapes, out come
// the addresses of other peers of the same torrent.
//
// It speaks BEP 3 (announce), BEP 23 (compact peer lists) and BEP 48 (scrape). Peer lists are IPv4; a client that
// comes by IPv6 is answered but not told to others (that would be BEP 7). The address others are given is always the one
// the announce came from, never the client's "ip" parameter.
package tracker

import (
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/quota"
)

const (
	// defaultInterval is short because a room's swarm is born and gone within a minute.
	defaultInterval = 5 * time.Second
	// slack is what an announce may be late, in addition to two intervals, before its peer is forgotten.
	slack = 5 * time.Second
	// defaultNumwant and maxNumwant are the number of peers in an answer: when the client doesn't say, and at most. 50 is
	// what BEP 3's trackers give.
	defaultNumwant = 50
	maxNumwant     = 200
	// maxPeers bounds the peers of all torrents: 10,000 nodes with a system and a runtime each, three times; some 16 MB. Of more, those
	// of the address that has the most are forgotten, or those that announced least recently.
	maxPeers = 1 << 16
	// maxOfAddress bounds those of one address, of all torrents: it is 64 nodes behind NAT that have a system and a runtime.
	// Of more, those that announced last are remembered; all are answered.
	maxOfAddress = 128
	// maxTold is how many peers of one address an answer has, so that nobody fills it with ports that nothing listens on.
	maxTold = 16
)

// Config configures a Tracker. The zero value works.
type Config struct {
	// Interval is the time clients are told to wait between announces; 5 s if zero. Whole seconds.
	Interval time.Duration
	// Seeds returns where the seeder's own seed is reached from the side of the network on which a request came to the
	// local address (zero if unknown). The seed is the first of the peers given to every incomplete peer, needs no
	// announce and counts as one complete peer in answers. Nil, or a zero result: no such seed.
	Seeds func(local netip.Addr) netip.AddrPort
	// Network is the one that a client shares with its neighbours, and whether that is one of the seeder's own: a rack, or the network of
	// an interface. Clients are told mostly of their neighbours. Nil: all are in one network.
	Network func(client netip.Addr) (network netip.Prefix, own bool)
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Observe is told of each announce: its event (started, completed, stopped, or regular for none and others), and whether it was answered
	// or refused. It must return at once. Nil: nobody is told.
	Observe func(event, outcome string)
	// Log receives every announce at debug level; nothing is logged if nil.
	Log *slog.Logger
}

// Tracker knows the live peers of a set of torrents. Its methods may be called concurrently.
type Tracker struct {
	cfg Config

	mu     sync.Mutex
	swarms map[catalog.InfoHash]*swarm
	// known is the peers of all swarms.
	known *quota.Stock[*peer]
}

// New returns a tracker that answers for no torrent yet.
func New(cfg Config) *Tracker {
	if cfg.Interval < time.Second {
		if cfg.Interval > 0 {
			cfg.Interval = time.Second
		} else {
			cfg.Interval = defaultInterval
		}
	}
	if cfg.Seeds == nil {
		cfg.Seeds = func(netip.Addr) netip.AddrPort { return netip.AddrPort{} }
	}
	if cfg.Network == nil {
		cfg.Network = func(netip.Addr) (netip.Prefix, bool) { return netip.Prefix{}, true }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Tracker{cfg: cfg, swarms: map[catalog.InfoHash]*swarm{}, known: quota.New[*peer](maxPeers)}
}

// SetTorrents makes hs the torrents that are answered, and forgets all others with their peers. Peers of torrents that
// stay in the set stay known. A torrent that was retired from the catalog while nodes download it has to be in hs until
// [Tracker.Swarm] shows that they are gone.
func (t *Tracker) SetTorrents(hs []catalog.InfoHash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	swarms := make(map[catalog.InfoHash]*swarm, len(hs))
	for _, h := range hs {
		if s, ok := t.swarms[h]; ok {
			swarms[h] = s
		} else {
			swarms[h] = newSwarm(t.known)
		}
	}
	for h, s := range t.swarms {
		if swarms[h] == nil {
			s.clear()
		}
	}
	t.swarms = swarms
}

// Swarm returns the number of live peers that have all of a torrent and of those that don't; both 0 for an unknown
// torrent. The seeder's own seed is not counted.
func (t *Tracker) Swarm(h catalog.InfoHash) (complete, incomplete int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.swarms[h]
	if !ok {
		return 0, 0
	}
	s.sweep(t.cfg.Now(), t.lifetime())
	return s.counts()
}

// sweepSometimes forgets the silent peers of s. Looking at all of them is cheap enough for twice an interval, not for
// each of ten thousand announces. t.mu is held.
func (t *Tracker) sweepSometimes(s *swarm, now time.Time) {
	if wait := s.nextSweep.Sub(now); wait > 0 && wait <= t.cfg.Interval {
		return
	}
	s.sweep(now, t.lifetime())
	s.nextSweep = now.Add(t.cfg.Interval / 2)
}

// lifetime is how long a silent peer is remembered.
func (t *Tracker) lifetime() time.Duration { return 2*t.cfg.Interval + slack }

// answer is what an announce learns.
type answer struct {
	complete, incomplete int
	// seed is the seeder's own seed, if the client should be told of it.
	seed  netip.AddrPort
	peers []peer
}

// announce records a and chooses peers for it. ok is false if the torrent is not one of ours.
func (t *Tracker) announce(a announce) (ans answer, ok bool) {
	seed, at := t.cfg.Seeds(a.local), t.placeOf(a)
	now := t.cfg.Now()

	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.swarms[a.infoHash]
	if !ok {
		return answer{}, false
	}
	t.sweepSometimes(s, now)
	// The seed itself needs no record, nor does a visitor, and a peer without an IPv4 address can't be told to others.
	if a.addr != seed && !a.visits && a.addr.Addr().Is4() {
		s.record(a, at, now)
	}
	ans.complete, ans.incomplete = s.countsFor(at)
	want := a.numwant
	if seed.IsValid() {
		ans.complete++
		if !a.complete && a.addr != seed && want > 0 {
			ans.seed = seed
			want--
		}
	}
	told := map[netip.Addr]int{}
	ans.peers = s.chooseFor(at, a, want, func(p *peer) bool {
		isAsker := p.addr == a.addr || p.id == a.peerID
		// A client on the seeder's own machine can't be reached from elsewhere by the address it came from.
		unreachable := p.addr.Addr().IsLoopback() && !a.addr.Addr().IsLoopback()
		if isAsker || unreachable || p.addr == seed {
			return true
		}
		if t.known.Held(p.addr.Addr()) <= maxTold { // as nearly all: no need to count
			return false
		}
		told[p.addr.Addr()]++
		return told[p.addr.Addr()] > maxTold
	})
	return ans, true
}

// scrape returns the counts of the given torrents, or of all; unknown ones are left out.
func (t *Tracker) scrape(hs []catalog.InfoHash, local netip.Addr) map[catalog.InfoHash]counts {
	seeds := 0
	if t.cfg.Seeds(local).IsValid() {
		seeds = 1
	}
	now := t.cfg.Now()

	t.mu.Lock()
	defer t.mu.Unlock()
	if hs == nil {
		hs = slices.Collect(maps.Keys(t.swarms))
	}
	all := map[catalog.InfoHash]counts{}
	for _, h := range hs {
		if s, ok := t.swarms[h]; ok {
			t.sweepSometimes(s, now)
			complete, incomplete := s.counts()
			all[h] = counts{complete + seeds, incomplete, s.downloaded}
		}
	}
	return all
}

// counts are the numbers of BEP 48: peers with all of a torrent, peers without, and downloads finished so far.
type counts struct{ complete, incomplete, downloaded int }

package swarm

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Networks with a seeder each have slow links between them: what a node fetches from elsewhere crosses such a link once more, where its
// own seeder has fetched it already for all. So a torrent's peers are near ones, which are the engine's own seeder and all that its
// tracker names, and far ones: the other seeders, and whom their trackers name. Far ones are connected to only while the near ones
// bring nothing: first the next seeder of the list, then more.

const (
	// farAfter is for how long the near peers have to bring nothing before the own seeder is asked whether it is there. If it is not, far
	// ones are turned to at once; if it is, its web seed has its turn before.
	farAfter = 3 * time.Second
	// farStep is for how long those that were turned to may bring nothing before there are more.
	farStep = 2 * time.Second
	// maxFar bounds the far peers that are remembered, and mostNear the near ones.
	maxFar, mostNear = 64, 4096
)

// reach is whom a torrent is to be fetched from. Its methods may be called concurrently.
type reach struct {
	// changed tells the torrent's announcer that doubted, or what out says, has changed.
	changed chan struct{}
	// doubted says that the near peers bring nothing; the announcer takes it up, and says in silent whether the first tier answers.
	doubted, silent atomic.Bool
	// turn counts how often it turned to other seeders.
	turn atomic.Int32
	// lastNear and lastOwn are when a near peer, and the own seeder, last sent something, in nanoseconds since 1970.
	lastNear, lastOwn atomic.Int64

	mu sync.Mutex
	// level is how many steps were made; 0: near peers do.
	level int
	// farPeers and nearPeers were named by trackers.
	farPeers  []netip.AddrPort
	nearPeers map[netip.Addr]bool
	// dialled are the far peers that connections were opened to.
	dialled map[netip.AddrPort]bool
}

func newReach() *reach {
	return &reach{changed: make(chan struct{}, 1), nearPeers: map[netip.Addr]bool{}, dialled: map[netip.AddrPort]bool{}}
}

func (r *reach) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// doubt has the announcer look whether the own seeder is there.
func (r *reach) doubt() {
	r.doubted.Store(true)
	r.signal()
}

// out reports whether far peers are turned to.
func (r *reach) out() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.level > 0
}

// near takes up which peers a tracker of the first tier named, and reports whether some are new among them.
func (r *reach) near(peers []netip.AddrPort) (fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.nearPeers) >= mostNear {
		clear(r.nearPeers)
	}
	for _, p := range peers {
		fresh = fresh || !r.nearPeers[p.Addr()]
		r.nearPeers[p.Addr()] = true
	}
	r.farPeers = slices.DeleteFunc(r.farPeers, func(p netip.AddrPort) bool { return r.nearPeers[p.Addr()] })
	return fresh
}

// far takes up which peers a tracker of the second tier named: the newest are remembered.
func (r *reach) far(peers []netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range peers {
		if !r.nearPeers[p.Addr()] && !slices.Contains(r.farPeers, p) {
			r.farPeers = append(r.farPeers, p)
		}
	}
	r.farPeers = r.farPeers[max(0, len(r.farPeers)-maxFar):]
}

// received takes up that something came.
func (r *reach) received(from side, now time.Time) {
	if from.far {
		return
	}
	r.lastNear.Store(now.UnixNano())
	if from.own() {
		r.lastOwn.Store(now.UnixNano())
	}
}

// isNear reports whether the own seeder's tracker named a peer.
func (r *reach) isNear(a netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nearPeers[a]
}

// isFar reports whether a peer is one that others' trackers alone have named.
func (r *reach) isFar(a netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.farPeers, func(p netip.AddrPort) bool { return p.Addr() == a })
}

// step turns to more far peers, and returns all that are turned to: as many of the other seeders as steps were made, and with the
// second step whom trackers named.
func (r *reach) step(others []Seeder) (peers []netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.level == 0 {
		r.turn.Add(1)
	}
	r.level++
	for _, s := range others[:min(r.level, len(others))] {
		peers = append(peers, r.seedOf(s)...)
	}
	for _, p := range r.farPeers {
		isSeed := slices.ContainsFunc(others, func(s Seeder) bool { return s.addr() == p.Addr() })
		if r.level > 1 && !isSeed {
			peers = append(peers, p)
		}
	}
	for _, p := range peers {
		r.dialled[p] = true
	}
	return peers
}

// seedOf is where a seeder's seed is: as the seeder is known, or as its tracker named it.
func (r *reach) seedOf(s Seeder) (peers []netip.AddrPort) {
	if s.Torrent.Port() != 0 {
		return []netip.AddrPort{s.Torrent}
	}
	for _, p := range r.farPeers {
		if p.Addr() == s.addr() {
			peers = append(peers, p)
		}
	}
	return peers
}

// back makes near peers do again, and returns the far ones that were dialled.
func (r *reach) back() (dialled map[netip.AddrPort]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	dialled, r.dialled, r.level = r.dialled, map[netip.AddrPort]bool{}, 0
	return dialled
}

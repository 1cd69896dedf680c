package swarm

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// crowd is whom a torrent that is being fetched is connected to, and which pieces they have. It follows the messages that come in,
// so that looking costs nothing: copying all peers' bitfields for every piece that came took 7 % of a node's processor time.
type crowd struct {
	// out counts, for each piece, the incomplete nodes that have it, offered the incomplete seeders: mirrors that are fetching it. What
	// a seeder has, complete or not, is divided among its nodes.
	out, offered []atomic.Int32
	// everywhere is the number of complete nodes. mirrors is that of incomplete seeders, whole that of complete ones.
	everywhere, mirrors, whole atomic.Int32
	// rival reports whether a node divides the pieces with this one.
	rival func(netip.Addr) bool
	// changed is called when a piece comes out.
	changed func()

	mu      sync.Mutex
	members map[*torrent.PeerConn]*member
	// complete is the number of complete peers, seeders among them.
	complete int
	// rivals is valid unless stale. It is replaced, never changed.
	rivals []pick.ID
	stale  bool
	// news are the pieces that have come out since they were last taken.
	news *roaring.Bitmap
}

// member is a connected peer.
type member struct {
	id pick.ID
	side
	// told says that it has told which pieces it has.
	told     bool
	complete bool
	pieces   *roaring.Bitmap
}

func newCrowd(pieces int, changed func(), rival func(netip.Addr) bool) *crowd {
	return &crowd{
		out: make([]atomic.Int32, pieces), offered: make([]atomic.Int32, pieces), changed: changed, rival: rival, members: map[*torrent.PeerConn]*member{}, news: roaring.New(),
	}
}

// has reports whether any incomplete node has piece i.
func (c *crowd) has(i int) bool { return c.out[i].Load() > 0 }

// holders is how many nodes have piece i.
func (c *crowd) holders(i int) int { return int(c.out[i].Load() + c.everywhere.Load()) }

// awaited reports whether only seeders are connected that lack piece i as well.
func (c *crowd) awaited(i int) bool {
	return c.mirrors.Load() > 0 && c.whole.Load() == 0 && c.offered[i].Load() == 0
}

// elsewhere reports whether a node has everything.
func (c *crowd) elsewhere() bool { return c.everywhere.Load() > 0 }

// hasComplete reports whether a peer has everything.
func (c *crowd) hasComplete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.complete > 0
}

// look returns who is connected now.
func (c *crowd) look() pick.Crowd {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale {
		c.rivals, c.stale = nil, false
		for _, m := range c.members {
			if m.told && !m.complete && !m.seeder && c.rival(m.addr) && strings.HasPrefix(string(m.id[:]), clientID) {
				c.rivals = append(c.rivals, m.id)
			}
		}
	}
	return pick.Crowd{Rivals: c.rivals, Has: c.has}
}

// takeNews returns the pieces that have come out since the last call. Some may have gone again with the peers that had them.
func (c *crowd) takeNews() []uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := c.news.ToArray()
	c.news.Clear()
	return news
}

func (c *crowd) add(pc *torrent.PeerConn, s side) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[pc] = &member{id: pc.PeerID, side: s, pieces: roaring.New()}
}

// setSide takes up who a peer is known to be now.
func (c *crowd) setSide(pc *torrent.PeerConn, s side) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.members[pc]; m != nil && m.side != s {
		pieces := m.pieces
		c.replace(m, roaring.New())
		m.side = s
		c.replace(m, pieces)
		c.stale = true
		c.countSeeders()
	}
}

// meet looks anew at who divides the pieces.
func (c *crowd) meet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale = true
}

func (c *crowd) remove(pc *torrent.PeerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.members[pc]; m != nil {
		c.replace(m, roaring.New())
		delete(c.members, pc)
		c.stale = true
		c.countSeeders()
	}
}

// read takes up what a peer says of its pieces (BEP 3, and BEP 6 for all and none). A piece that there is not is left to the library,
// which closes the connection.
func (c *crowd) read(pc *torrent.PeerConn, m *pp.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	peer := c.members[pc]
	if peer == nil {
		return
	}
	if !peer.told {
		peer.told, c.stale = true, true
		defer c.countSeeders()
	}
	switch m.Type {
	case pp.Have:
		if i := int(m.Index); i < len(c.out) && !peer.complete && peer.pieces.CheckedAdd(uint32(m.Index)) {
			c.count(peer, i)
		}
	case pp.Bitfield:
		c.replace(peer, bitmap(m.Bitfield[:min(len(m.Bitfield), len(c.out))]))
	case pp.HaveAll:
		all := roaring.New()
		all.AddRange(0, uint64(len(c.out)))
		c.replace(peer, all)
	case pp.HaveNone:
		c.replace(peer, roaring.New())
	}
}

func bitmap(bits []bool) *roaring.Bitmap {
	b := roaring.New()
	for i, set := range bits {
		if set {
			b.AddInt(i)
		}
	}
	return b
}

// counts are those that a peer's pieces are in as long as it is incomplete.
func (c *crowd) counts(peer *member) []atomic.Int32 {
	if peer.seeder {
		return c.offered
	}
	return c.out
}

// count takes up that a peer has got piece i.
func (c *crowd) count(peer *member, i int) {
	c.countUp(peer, i)
	if int(peer.pieces.GetCardinality()) == len(c.out) {
		c.replace(peer, peer.pieces)
	}
}

func (c *crowd) countUp(peer *member, i int) {
	if c.counts(peer)[i].Add(1) > 1 {
		return
	}
	if !peer.seeder {
		c.news.AddInt(i)
	}
	c.changed()
}

// replace takes up that a peer has exactly these pieces.
func (c *crowd) replace(peer *member, pieces *roaring.Bitmap) {
	if peer.complete {
		c.setComplete(peer, -1)
	} else {
		peer.pieces.Iterate(func(i uint32) bool { c.counts(peer)[i].Add(-1); return true })
	}
	if peer.pieces = pieces; int(pieces.GetCardinality()) == len(c.out) {
		c.setComplete(peer, +1)
		return
	}
	pieces.Iterate(func(i uint32) bool { c.countUp(peer, int(i)); return true })
}

// setComplete takes up that a peer has become complete (by is 1), or is so no longer (-1).
func (c *crowd) setComplete(peer *member, by int) {
	peer.complete, c.stale = by > 0, true
	c.complete += by
	if !peer.seeder {
		c.everywhere.Add(int32(by))
		c.changed()
	}
	c.countSeeders()
}

// countSeeders takes up how many of the seeders are complete.
func (c *crowd) countSeeders() {
	mirrors, whole := int32(0), int32(0)
	for _, m := range c.members {
		switch {
		case !m.seeder || !m.told:
		case m.complete:
			whole++
		default:
			mirrors++
		}
	}
	c.mirrors.Store(mirrors)
	c.whole.Store(whole)
	c.changed()
}

// lacks reports whether there is a missing piece that no peer has.
func (c *crowd) lacks(missing func(i int) bool) bool {
	if c.hasComplete() {
		return false
	}
	for i := range c.out {
		if missing(i) && !c.has(i) && c.offered[i].Load() == 0 {
			return true
		}
	}
	return false
}

// nearLack reports whether there is a missing piece that no near node has.
func (c *crowd) nearLack(missing func(i int) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	near := roaring.New()
	for _, m := range c.members {
		if !m.far && !m.seeder {
			near.Or(m.pieces)
		}
	}
	for i := range c.out {
		if missing(i) && !near.ContainsInt(i) {
			return true
		}
	}
	return false
}

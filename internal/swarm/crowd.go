package swarm

import (
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
	// out counts, for each piece, the incomplete peers that have it.
	out []atomic.Int32
	// everywhere is the number of complete peers besides the seeder.
	everywhere atomic.Int32
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
	id     pick.ID
	seeder bool
	// told says that it has told which pieces it has.
	told     bool
	complete bool
	pieces   *roaring.Bitmap
}

func newCrowd(pieces int, changed func()) *crowd {
	return &crowd{out: make([]atomic.Int32, pieces), changed: changed, members: map[*torrent.PeerConn]*member{}, news: roaring.New()}
}

// has reports whether any incomplete peer has piece i.
func (c *crowd) has(i int) bool { return c.out[i].Load() > 0 }

// elsewhere reports whether a peer that is not the seeder has everything.
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
			if m.told && !m.complete && strings.HasPrefix(string(m.id[:]), clientID) {
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

func (c *crowd) add(pc *torrent.PeerConn, seeder bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[pc] = &member{id: pc.PeerID, seeder: seeder, pieces: roaring.New()}
}

// setSeeder takes up that a peer is a seeder, or is none.
func (c *crowd) setSeeder(pc *torrent.PeerConn, seeder bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.members[pc]
	if m == nil || m.seeder == seeder {
		return
	}
	complete := m.complete
	if complete {
		c.setComplete(m, -1)
	}
	m.seeder = seeder
	if complete {
		c.setComplete(m, +1)
	}
}

func (c *crowd) remove(pc *torrent.PeerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.members[pc]; m != nil {
		c.replace(m, roaring.New())
		delete(c.members, pc)
		c.stale = true
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

// count takes up that a peer has got piece i.
func (c *crowd) count(peer *member, i int) {
	if c.out[i].Add(1) == 1 {
		c.tell(i)
	}
	if int(peer.pieces.GetCardinality()) == len(c.out) {
		c.replace(peer, peer.pieces)
	}
}

func (c *crowd) tell(i int) {
	c.news.AddInt(i)
	c.changed()
}

// replace takes up that a peer has exactly these pieces.
func (c *crowd) replace(peer *member, pieces *roaring.Bitmap) {
	if peer.complete {
		c.setComplete(peer, -1)
	} else {
		peer.pieces.Iterate(func(i uint32) bool { c.out[i].Add(-1); return true })
	}
	if peer.pieces = pieces; int(pieces.GetCardinality()) == len(c.out) {
		c.setComplete(peer, +1)
		return
	}
	pieces.Iterate(func(i uint32) bool {
		if c.out[i].Add(1) == 1 {
			c.tell(int(i))
		}
		return true
	})
}

// setComplete takes up that a peer has become complete (by is 1), or is so no longer (-1).
func (c *crowd) setComplete(peer *member, by int) {
	peer.complete, c.stale = by > 0, true
	c.complete += by
	if !peer.seeder {
		c.everywhere.Add(int32(by))
		c.changed()
	}
}

// lacks reports whether there is a missing piece that no peer has.
func (c *crowd) lacks(missing func(i int) bool) bool {
	if c.hasComplete() {
		return false
	}
	for i := range c.out {
		if missing(i) && !c.has(i) {
			return true
		}
	}
	return false
}

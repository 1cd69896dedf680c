package swarm

import (
	"math"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// connections follows every connection by the library's callbacks: it counts what comes from whom, sets the length of
// the request queues, and knows who is connected. The callbacks run with the library's lock held, which is why they may
// set a connection's PeerMaxRequests, and why nothing here may call the library back.
type connections struct {
	seeders *seeders
	// serves is Engine.serves.
	serves bool
	// entry finds the torrent a connection is for.
	entry func(catalog.InfoHash) *entry

	mu   sync.Mutex
	open map[*torrent.PeerConn]*connection
}

type connection struct {
	entry *entry
	side
	// listen is where the peer takes connections, as far as it told.
	listen netip.AddrPort
	queue  pick.Queue
	// foreign says that a request is several there (foreign.go).
	foreign bool
	// most is how many requests the peer is ready to queue (reqq in BEP 10).
	most int
}

// side is who is at the other end.
type side struct {
	addr netip.Addr
	// seeder says that it is one of the site's seeders, far that it is to be asked only where nobody near brings anything.
	seeder, far bool
}

// own reports whether it is the engine's own seeder.
func (s side) own() bool { return s.seeder && !s.far }

// sideOf is who is at the other end of a connection from or to an address. For a mirror the others that follow the same seeder are nodes
// like those of that seeder's network: they fetch at the same time, and divide the pieces.
func (c *connections) sideOf(f *entry, a netip.Addr) side {
	rank := c.seeders.rank(a)
	if rank > 0 && c.serves && f.reach.isNear(a) {
		return side{addr: a}
	}
	return side{addr: a, seeder: rank >= 0, far: rank > 0 || rank < 0 && f.reach.isFar(a)}
}

// depth is how many requests to have open at a time if so many bytes are to come from the seeder. It is one, the least that the
// library knows, if nothing is to be asked for.
func (c *connection) depth(wanted int64) int {
	if c.far && !c.entry.reach.out() {
		return 1
	}
	side := pick.Side{Seeder: c.seeder, Foreign: c.foreign, Wanted: wanted, Connections: c.entry.connections}
	most := c.most
	if c.foreign {
		most = pick.Requests(most, c.entry.requestSize())
	}
	return min(pick.Requests(c.queue.Depth(side), c.entry.requestSize()), most)
}

func (c *connections) install(cb *torrent.Callbacks) {
	c.open = map[*torrent.PeerConn]*connection{}
	cb.PeerConnAdded = append(cb.PeerConnAdded, c.added)
	cb.ReadExtendedHandshake = c.handshake
	cb.ReceivedUsefulData = append(cb.ReceivedUsefulData, c.received)
	cb.PeerConnClosed = c.closed
	cb.ReadMessage = c.read
}

func (c *connections) added(pc *torrent.PeerConn) {
	f := c.entry(catalog.InfoHash(pc.Torrent().InfoHash()))
	if f == nil {
		return
	}
	conn := c.describe(pc, f)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[pc] = conn
	if f.crowd != nil {
		f.crowd.add(pc, conn.side)
	}
	f.connections++
	pc.PeerMaxRequests = conn.depth(conn.entry.window.left.Load())
}

// describe is a connection that is for f.
func (c *connections) describe(pc *torrent.PeerConn, f *entry) *connection {
	return &connection{
		entry: f, side: c.sideOf(f, remoteAddr(pc)), foreign: !ownKind(pc), most: pc.PeerMaxRequests, queue: pick.NewQueue(time.Now()),
	}
}

// reclassify takes up which connections lead to seeders now.
func (c *connections) reclassify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for pc, conn := range c.open {
		conn.side = c.sideOf(conn.entry, conn.addr)
		if conn.entry.crowd != nil {
			conn.entry.crowd.setSide(pc, conn.side)
		}
	}
}

// handshake changes the message because the library sets PeerMaxRequests from it afterwards.
func (c *connections) handshake(pc *torrent.PeerConn, m *pp.ExtendedHandshakeMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn := c.open[pc]
	if conn == nil {
		return
	}
	if m.Reqq > 0 {
		conn.most = m.Reqq
	}
	m.Reqq = conn.depth(conn.entry.window.left.Load())
	if m.Port > 0 && m.Port < 1<<16 {
		conn.listen = netip.AddrPortFrom(remoteAddr(pc), uint16(m.Port))
	}
}

func (c *connections) received(ev torrent.ReceivedUsefulDataEvent) {
	pc, ok := ev.Peer.TryAsPeerConn()
	if !ok {
		return
	}
	c.mu.Lock()
	conn := c.open[pc]
	c.mu.Unlock()
	if conn == nil {
		// It was removed, and what it brought counts all the same.
		f := c.entry(catalog.InfoHash(pc.Torrent().InfoHash()))
		if f == nil {
			return
		}
		conn = c.describe(pc, f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, now := len(ev.Message.Piece), time.Now()
	conn.entry.lastPeer.Store(now.UnixNano())
	conn.entry.reach.received(conn.side, now)
	if conn.seeder {
		conn.entry.seeder.Add(int64(n))
		conn.entry.bySeeder.add(conn.addr, int64(n))
	} else {
		conn.entry.nodes.Add(int64(n))
		conn.entry.sources.add(conn.addr, int64(n))
	}
	if conn.entry.window.received(int(ev.Message.Index), int64(n)) {
		conn.entry.store.signal()
	}
	conn.queue.Received(n, now)
	pc.PeerMaxRequests = conn.depth(conn.entry.window.left.Load())
}

// read follows which pieces a peer has.
func (c *connections) read(pc *torrent.PeerConn, m *pp.Message) {
	switch m.Type {
	case pp.Have, pp.Bitfield, pp.HaveAll, pp.HaveNone:
	default:
		return
	}
	c.mu.Lock()
	conn := c.open[pc]
	c.mu.Unlock()
	if conn != nil && conn.entry.crowd != nil {
		conn.entry.crowd.read(pc, m)
	}
}

func (c *connections) closed(pc *torrent.PeerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.open[pc]; conn != nil {
		conn.entry.connections--
		if conn.entry.crowd != nil {
			conn.entry.crowd.remove(pc)
		}
		delete(c.open, pc)
	}
}

// of returns a torrent's connections to peers that listen at these addresses and were dialled there.
func (c *connections) of(f *entry, dialled map[netip.AddrPort]bool) (found []*torrent.PeerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for pc, conn := range c.open {
		if a, err := netip.ParseAddrPort(pc.RemoteAddr.String()); err == nil && conn.entry == f && conn.far && dialled[a] {
			found = append(found, pc)
		}
	}
	return found
}

// count is how many connections a torrent has.
func (c *connections) count(f *entry) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.connections
}

// connected reports whether a torrent has a connection to the peer that listens there.
func (c *connections) connected(f *entry, listen netip.AddrPort) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		if conn.entry == f && conn.listen == listen {
			return true
		}
	}
	return false
}

// ownKind reports whether a peer is of this project.
func ownKind(pc *torrent.PeerConn) bool { return strings.HasPrefix(string(pc.PeerID[:]), clientID) }

// depth is how many blocks a torrent would ask for at a time on its busiest connection to our own kind, as long as something is to come
// over it.
func (c *connections) depth(f *entry) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	depth := 0
	for _, conn := range c.open {
		if conn.entry == f && !conn.foreign {
			depth = max(depth, conn.depth(math.MaxInt64))
		}
	}
	return depth * int(f.requestSize()/pick.BlockSize)
}

// remoteAddr is the peer's IPv4 address, or none.
func remoteAddr(pc *torrent.PeerConn) netip.Addr {
	if a, ok := pc.RemoteAddr.(interface{ AddrPort() netip.AddrPort }); ok { // *net.TCPAddr
		return a.AddrPort().Addr().Unmap()
	}
	a, err := netip.ParseAddrPort(pc.RemoteAddr.String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// torrentBoard is the pick.Board of a torrent that is being fetched.
type torrentBoard struct{ *entry }

// Pieces implements pick.Board.
func (b torrentBoard) Pieces() int { return len(b.store.pieces) }

// Missing implements pick.Board.
func (b torrentBoard) Missing(i int) bool { return b.store.missing(i) }

// Prefer implements pick.Board.
func (b torrentBoard) Prefer(i int) { b.torrent.Piece(i).SetPriority(torrent.PiecePriorityHigh) }

// Crowd implements pick.Board.
func (b torrentBoard) Crowd() pick.Crowd { return b.crowd.look() }

package swarm

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// connections follows every connection by the library's callbacks: it counts what comes from whom, sets the length of
// the request queues, and knows who is connected. The callbacks run with the library's lock held, which is why they may
// set a connection's PeerMaxRequests, and why nothing here may call the library back.
type connections struct {
	seeders []netip.Addr
	// entry finds the torrent a connection is for.
	entry func(catalog.InfoHash) *entry

	mu   sync.Mutex
	open map[*torrent.PeerConn]*connection
}

type connection struct {
	entry  *entry
	seeder bool
	// listen is where the peer takes connections, as far as it told.
	listen netip.AddrPort
	queue  pick.Queue
	// foreign says that a request is several there (foreign.go).
	foreign bool
	// most is how many requests the peer is ready to queue (reqq in BEP 10).
	most int
}

// depth is how many requests to have open at a time.
func (c *connection) depth() int {
	side := pick.Side{Seeder: c.seeder, Waits: c.entry.waits.Load(), Connections: c.entry.connections}
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
	f.connections++
	pc.PeerMaxRequests = conn.depth()
}

// describe is a connection that is for f.
func (c *connections) describe(pc *torrent.PeerConn, f *entry) *connection {
	return &connection{
		entry: f, seeder: slices.Contains(c.seeders, remoteAddr(pc)), foreign: !ownKind(pc),
		most: pc.PeerMaxRequests, queue: pick.NewQueue(time.Now()),
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
	m.Reqq = conn.depth()
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
	if conn.seeder {
		conn.entry.seeder.Add(int64(n))
	} else {
		conn.entry.nodes.Add(int64(n))
		conn.entry.sources.add(remoteAddr(pc), int64(n))
	}
	conn.queue.Received(n, now)
	pc.PeerMaxRequests = conn.depth()
}

// read has the chooser look again when a peer has got what is held.
func (c *connections) read(pc *torrent.PeerConn, m *pp.Message) {
	if m.Type != pp.Have {
		return
	}
	c.mu.Lock()
	conn := c.open[pc]
	c.mu.Unlock()
	if conn == nil {
		return
	}
	if held := conn.entry.held.Load(); held != nil && held.ContainsInt(int(m.Index)) {
		conn.entry.store.signal()
	}
}

func (c *connections) closed(pc *torrent.PeerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.open[pc]; conn != nil {
		conn.entry.connections--
		delete(c.open, pc)
	}
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

// depth is how many blocks a torrent asks for at a time on its busiest connection.
func (c *connections) depth(f *entry) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	depth := 0
	for _, conn := range c.open {
		if conn.entry == f {
			depth = max(depth, conn.depth())
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
func (b torrentBoard) Crowd() pick.Crowd { return b.look(nil).crowd }

// view is whom a torrent is connected to.
type view struct {
	crowd pick.Crowd
	// complete says that there is a peer with all pieces, elsewhere that there is one that is not a seeder.
	complete, elsewhere bool
}

// look returns who is connected now.
func (b torrentBoard) look(seeders []netip.Addr) (v view) {
	var out []*roaring.Bitmap
	for _, pc := range b.torrent.PeerConns() {
		has := pc.PeerPieces()
		if int(has.GetCardinality()) >= b.Pieces() {
			v.complete = true
			v.elsewhere = v.elsewhere || !slices.Contains(seeders, remoteAddr(pc))
			continue
		}
		out = append(out, has)
		if ownKind(pc) {
			v.crowd.Rivals = append(v.crowd.Rivals, pc.PeerID)
		}
	}
	v.crowd.Has = roaring.FastOr(out...).ContainsInt
	return v
}

// chooserBoard is a torrentBoard that looks when it is told to.
type chooserBoard struct {
	torrentBoard
	view
}

// Crowd implements pick.Board.
func (b *chooserBoard) Crowd() pick.Crowd { return b.crowd }

package swarm

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/anacrolix/torrent"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// A peer that takes requests and answers late or never keeps pieces from being completed, and what isn't complete can't
// be given on: of four nodes with one mute peer among them the last took 15 to 25 % longer. The library gives such
// requests to others only when those have run out of their own. So each connection is compared with the others of its
// torrent: one that is far slower gets one request at a time, and one that is silent while the others bring data is
// closed and not opened again for a while. What makes a connection slow in a crowd makes all slow, which is why nothing
// here is compared with the clock alone. The own seeder is never left: what it fails to bring is the fallback's matter.
//
// For the same reason a request is left where it is for a while: an idle connection that takes one over from a busy one
// has it answered twice if the answer is in a queue already. In a room of 48 on slow links, in which an answer takes some
// seconds, every third block came twice.

const (
	// compareTick is how often connections are compared.
	compareTick = 250 * time.Millisecond
	// leastSilence is for how long a peer may be silent in any case. A few lost packets in a row are a second.
	leastSilence = 1500 * time.Millisecond
	// silentBlocks is how many of an ordinary peer's blocks a peer may be silent for, silentRequests how many of its requests at least.
	silentBlocks, silentRequests = 8, 4
	// slowTimes is how many times an ordinary peer's time a request may take; below leastSlow for a block none is slow.
	slowTimes = 4
	leastSlow = 300 * time.Millisecond
	// memory is what a tick leaves of the earlier ones: some 2.5 s are remembered.
	memory = 0.9
	// graceTimes is for how many times an ordinary peer's time for a request it is left with the peer it was sent to.
	graceTimes = 3
	// A snubbed peer is left alone for this long, and each time twice as long as before.
	firstBackoff, lastBackoff = 5 * time.Second, time.Minute
)

// snubs finds the snubbed peers, which have requests and send nothing, and the slow ones.
type snubs struct {
	seeders *seeders
	entry   func(catalog.InfoHash) *entry
	// grace is ClientConfig.StealRequestGrace, which is guarded by the library's lock.
	grace *time.Duration

	mu       sync.Mutex
	peers    map[*torrent.Peer]*watched
	backoffs map[netip.Addr]backoff
	// ordinary is the longest of the torrents' times for a request.
	ordinary time.Duration
}

// watched is a connection.
type watched struct {
	conn  *torrent.PeerConn
	addr  netip.Addr
	entry *entry
	// own says that it is the engine's own seeder.
	own bool
	pace
}

// pace is how fast a connection answers.
type pace struct {
	// waiting is the number of unanswered requests, got that of answers since the last tick.
	waiting, got int
	// silent is the number of ticks since the last answer in which requests waited while others brought data.
	silent int
	// busy is for how long requests waited, answers how many were answered; both fade.
	busy    time.Duration
	answers float64
	// slow is told to the connection at its next answer.
	slow bool
}

// backoff is how long a snubbed peer is left alone, and until when.
type backoff struct {
	length time.Duration
	until  time.Time
}

func (p *snubs) install(c *torrent.ClientConfig) {
	cb := &c.Callbacks
	p.grace = &c.StealRequestGrace
	p.peers, p.backoffs = map[*torrent.Peer]*watched{}, map[netip.Addr]backoff{}
	cb.PeerConnAdded = append(cb.PeerConnAdded, p.added)
	cb.PeerClosed = append(cb.PeerClosed, p.closed)
	cb.SentRequest = append(cb.SentRequest, func(ev torrent.PeerRequestEvent) { p.count(ev.Peer, 1) })
	cb.DeletedRequest = append(cb.DeletedRequest, func(ev torrent.PeerRequestEvent) { p.count(ev.Peer, -1) })
	cb.ReceivedUsefulData = append(cb.ReceivedUsefulData, p.received)
}

func (p *snubs) added(pc *torrent.PeerConn) {
	f := p.entry(catalog.InfoHash(pc.Torrent().InfoHash()))
	if f == nil {
		return
	}
	addr := remoteAddr(pc)
	if p.snubbed(addr) {
		go func() { _ = pc.Close() }() // the library's lock is held here
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers[&pc.Peer] = &watched{conn: pc, addr: addr, entry: f, own: p.seeders.rank(addr) == 0}
}

// reclassify takes up which connections lead to the own seeder now.
func (p *snubs) reclassify() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.peers {
		w.own = p.seeders.rank(w.addr) == 0
	}
}

func (p *snubs) closed(peer *torrent.Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.peers, peer)
}

func (p *snubs) count(peer *torrent.Peer, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.peers[peer]; w != nil {
		w.waiting += n
	}
}

func (p *snubs) received(ev torrent.ReceivedUsefulDataEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*p.grace = graceTimes * p.ordinary
	if w := p.peers[ev.Peer]; w != nil {
		w.got++
		if w.slow {
			w.conn.PeerMaxRequests = 1
		}
	}
}

// snubbed reports whether a peer was snubbed so lately that it is left alone now.
func (p *snubs) snubbed(a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.backoffs[a].until)
}

// supervise compares the connections until the engine is closed.
func (e *Engine) supervise() {
	ticker := time.NewTicker(compareTick)
	defer ticker.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case now := <-ticker.C:
			e.processors.look()
			for w, length := range e.snubs.check(now) {
				e.log.Info("a peer takes requests and does not answer: it is left alone for a while", "peer", w.addr, "system", w.entry.layout.name, "for", length)
				_ = w.conn.Close()
			}
		}
	}
}

// check returns the snubbed peers' connections, which are to be closed, and for how long their peers are left alone.
func (p *snubs) check(now time.Time) map[*watched]time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	torrents := map[*entry][]*watched{}
	for _, w := range p.peers {
		torrents[w.entry] = append(torrents[w.entry], w)
	}
	snubbed := map[*watched]time.Duration{}
	p.ordinary = 0
	for _, peers := range torrents {
		paces := make([]*pace, len(peers))
		for i, w := range peers {
			paces[i] = &w.pace
		}
		ordinary := compare(paces)
		p.ordinary = max(p.ordinary, ordinary)
		for _, w := range peers {
			if !w.own && w.pace.judge(ordinary, int(w.entry.requestSize()/pick.BlockSize)) {
				a := p.backoffs[w.addr]
				a.length = min(max(2*a.length, firstBackoff), lastBackoff)
				a.until = now.Add(a.length)
				p.backoffs[w.addr], snubbed[w] = a, a.length
			}
		}
	}
	return snubbed
}

// compare takes up a tick and returns how long an ordinary connection takes for a request: the median; 0 if none brought any.
func compare(all []*pace) time.Duration {
	total := 0
	for _, c := range all {
		total += c.got
	}
	var times []time.Duration
	for _, c := range all {
		c.tick(total - c.got)
		if c.answers > 0.5 {
			times = append(times, c.perRequest())
		}
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[(len(times)-1)/2]
}

// tick takes up what came since the last one, here and from others.
func (c *pace) tick(others int) {
	c.busy, c.answers = time.Duration(memory*float64(c.busy)), memory*c.answers+float64(c.got)
	if c.waiting > 0 || c.got > 0 {
		c.busy += compareTick
	}
	switch {
	case c.got > 0:
		c.silent = 0
	case c.waiting > 0 && others > 0:
		c.silent++
	}
	c.got = 0
}

func (c *pace) perRequest() time.Duration { return time.Duration(float64(c.busy) / c.answers) }

// judge reports whether the peer is snubbed, as it has been silent for too long, and notes whether it is slow. A request is of that many
// blocks.
func (c *pace) judge(ordinary time.Duration, blocks int) bool {
	if c.answers > 0.5 {
		c.slow = ordinary > 0 && c.perRequest() > max(leastSlow*time.Duration(blocks), slowTimes*ordinary)
	}
	patience := max(leastSilence, ordinary*time.Duration(max(silentBlocks/blocks, silentRequests)))
	return time.Duration(c.silent)*compareTick >= patience
}

package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/bencode"
	tracker "github.com/anacrolix/torrent/tracker/http"
)

// Nodes announce themselves to the trackers here and not in the library, which announces at most once a minute whatever
// interval the tracker asks for, waits a minute after a failure, and doesn't say how many peers it wants. In a room
// that starts at once it is enough that each node announces the moment it begins and dials everyone it is told of: of
// any two, the later one learns of the earlier. A second announce soon after finds those whose first was lost; from
// then on it is the tracker's interval. Peers that are connected already are not dialled again.

const (
	userAgent = "BootTorrent"
	// soon is when the second announce follows the first.
	soon = 1500 * time.Millisecond
	// The interval a tracker asks for is kept within these, and a failing one is asked again after doubling pauses.
	minInterval, maxInterval = 2 * time.Second, 5 * time.Minute
	minRetry, maxRetry       = time.Second, 30 * time.Second
	// announceTimeout bounds one request; stopTimeout the last one, as somebody waits for it.
	announceTimeout = 10 * time.Second
	stopTimeout     = time.Second
	// numWant asks for the whole room (BEP 3 leaves the number open).
	numWant = 200
	// maxResponse bounds what a tracker may send, in bytes.
	maxResponse = 1 << 20
)

// announcer keeps a torrent's trackers informed.
type announcer struct {
	engine *Engine
	entry  *entry
	// given are announce URLs that are not of the engine's seeders.
	given   []string
	tiers   *tiers
	answers chan heard
	// asking is how many requests are under way.
	asking int
}

// heard is how a request to a tracker ended.
type heard struct {
	ask
	answer
	err error
}

// announce keeps a torrent's trackers informed until it is removed, and dials the peers that they name.
func (e *Engine) announce(f *entry, given []string) {
	changed := e.seeders.changed()
	first, second := e.trackers(given)
	a := &announcer{engine: e, entry: f, given: given, answers: make(chan heard)}
	a.tiers = newTiers(first, second, time.Now(), rand.N(farInterval))
	f.told.expect(len(a.tiers.all))
	completed := f.completed
	timer := time.NewTimer(0)
	defer timer.Stop()
	for f.ctx.Err() == nil {
		select {
		case <-f.ctx.Done():
			continue
		case <-timer.C:
		case h := <-a.answers:
			a.asking--
			a.hear(h)
		case <-completed:
			completed = nil
			a.tiers.finish(time.Now())
		case <-f.reach.changed:
			a.consider()
		case <-changed:
			changed = e.seeders.changed()
			a.setTrackers()
		}
		now := time.Now()
		asks, again := a.tiers.next(now)
		for _, q := range asks {
			a.send(q)
		}
		silent, _ := a.tiers.silent(now)
		f.reach.silent.Store(silent)
		timer.Reset(again.Sub(now))
	}
	a.stop()
}

// consider takes up what the download says of the near peers.
func (a *announcer) consider() {
	if a.entry.reach.doubted.Swap(false) {
		a.tiers.doubt(time.Now())
	}
	a.tiers.reach = a.entry.reach.out()
}

// setTrackers takes up which seeders there are.
func (a *announcer) setTrackers() {
	first, second := a.engine.trackers(a.given)
	gone := a.tiers.set(first, second, time.Now())
	a.entry.told.expect(len(a.tiers.all))
	for _, url := range gone {
		a.entry.told.forget(url)
		a.entry.trouble.set("tracker "+url, nil)
		a.entry.background.Go(func() { a.engine.leave(a.entry, url) })
	}
}

// send asks a tracker in the background.
func (a *announcer) send(q ask) {
	a.asking++
	go func() {
		h := heard{ask: q}
		h.answer, h.err = a.engine.askTracker(a.entry.ctx, announceTimeout, a.entry, q)
		a.answers <- h
	}()
}

// hear takes up how a request ended.
func (a *announcer) hear(h heard) {
	e, f := a.engine, a.entry
	member := a.tiers.answered(h.ask, h.interval, h.err, time.Now())
	tr := a.tiers.find(h.url)
	if tr == nil || f.ctx.Err() != nil {
		return
	}
	if !h.visit {
		f.trouble.set("tracker "+h.url, h.err)
	}
	if h.err != nil {
		f.told.fail(h.url)
		e.log.Debug("announce failed", "tracker", h.url, "system", f.layout.name, "err", h.err)
		return
	}
	if member {
		f.told.set(h.url, h.answer, time.Now())
	}
	if tr.first {
		if f.reach.near(h.peers) {
			e.conns.reclassify()
		}
		if e.serves && f.crowd != nil {
			f.crowd.meet()
		}
		e.dial(f, h.peers)
	} else {
		f.reach.far(h.peers)
	}
}

// stop tells those that know us that we leave.
func (a *announcer) stop() {
	for ; a.asking > 0; a.asking-- {
		h := <-a.answers
		a.tiers.answered(h.ask, h.interval, h.err, time.Now())
	}
	var group sync.WaitGroup
	for _, url := range a.tiers.known() {
		group.Go(func() { a.engine.leave(a.entry, url) })
	}
	group.Wait()
}

// leave tells a tracker that we leave.
func (e *Engine) leave(f *entry, url string) {
	_, _ = e.askTracker(context.Background(), stopTimeout, f, ask{url: url, event: "stopped"})
}

// answer is what a tracker says: how long to wait before the next announce, peers, and how many of all lack something.
type answer struct {
	interval   time.Duration
	peers      []netip.AddrPort
	incomplete int
}

// askTracker announces.
func (e *Engine) askTracker(ctx context.Context, timeout time.Duration, f *entry, q ask) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u, err := url.Parse(q.url)
	if err != nil {
		return answer{}, err
	}
	u.RawQuery = e.announceQuery(f, q).Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := e.http.Do(req)
	if err != nil {
		// The message would repeat the whole query.
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err
		}
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return answer{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("it answered %s", resp.Status)
	}
	return parseResponse(body)
}

// announceQuery is the query of BEP 3 with BEP 23's compact.
func (e *Engine) announceQuery(f *entry, a ask) url.Values {
	id, s := e.client.PeerID(), e.stats(f)
	q := url.Values{}
	q.Set("info_hash", string(f.layout.hash[:]))
	q.Set("peer_id", string(id[:]))
	q.Set("port", strconv.Itoa(e.Port()))
	q.Set("uploaded", strconv.FormatInt(s.Uploaded, 10))
	q.Set("downloaded", strconv.FormatInt(s.Received(), 10))
	q.Set("left", strconv.FormatInt(s.Size-s.Done, 10))
	q.Set("compact", "1")
	q.Set("numwant", strconv.Itoa(a.want))
	if a.visit {
		q.Set("far", "1") // a tracker of ours answers and names us to nobody
	}
	if e.serves {
		q.Set("mirror", "1") // what we get is for a whole network
	}
	if a.event != "" {
		q.Set("event", a.event)
	}
	return q
}

// parseResponse reads a tracker's answer (BEP 3, BEP 23): the interval, within our bounds, the IPv4 peers, and the number
// of incomplete ones as most trackers give it; 0 if it doesn't.
func parseResponse(body []byte) (answer, error) {
	var r tracker.HttpResponse
	if err := bencode.Unmarshal(body, &r); err != nil {
		return answer{}, fmt.Errorf("it did not answer like a tracker: %w", err)
	}
	if r.FailureReason != "" {
		return answer{}, fmt.Errorf("it answered %q", r.FailureReason)
	}
	var peers []netip.AddrPort
	for _, p := range r.Peers.List {
		addr, ok := netip.AddrFromSlice(p.IP)
		if addr = addr.Unmap(); ok && addr.Is4() && p.Port > 0 && p.Port < 1<<16 {
			peers = append(peers, netip.AddrPortFrom(addr, uint16(p.Port)))
		}
	}
	interval := time.Duration(r.Interval) * time.Second
	return answer{min(max(interval, minInterval), maxInterval), peers, max(0, int(r.Incomplete))}, nil
}

// dial connects to those peers which are not connected yet. With all pieces here there is no need: who lacks some dials.
func (e *Engine) dial(f *entry, peers []netip.AddrPort) {
	if f.torrent.Complete().Bool() {
		return
	}
	e.connect(f, peers)
}

// connect connects to those peers which are not connected yet.
func (e *Engine) connect(f *entry, peers []netip.AddrPort) {
	var infos []torrent.PeerInfo
	for _, p := range peers {
		if s := e.conns.sideOf(f, p.Addr()); s.seeder && s.far && !f.reach.out() {
			continue // another seeder, named because it fetches
		}
		self := p.Addr() == e.cfg.Listen.Addr() && int(p.Port()) == e.Port()
		if !self && !e.conns.connected(f, p) && !e.snubs.snubbed(p.Addr()) {
			infos = append(infos, torrent.PeerInfo{Addr: net.TCPAddrFromAddrPort(p), Source: torrent.PeerSourceTracker})
		}
	}
	if len(infos) > 0 {
		f.torrent.AddPeers(infos)
	}
}

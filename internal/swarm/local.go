package swarm

import (
	"crypto/rand"
	"errors"
	math "math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm/lsd"
)

// Where the seeder is switched off there is no tracker, and nodes that fetch find those that have by local service discovery
// (BEP 14): they multicast what they search for, and who takes part in that connects to them. Only who finds no tracker sends.

const (
	// trackerTime is how long a torrent waits for the first answer of a tracker.
	trackerTime = 5 * time.Second
	// A torrent that lacks something is searched for again after searchTime, the least that BEP 14 allows. Who has everything says so
	// after giveTime, what BEP 14 wants: a search that was sent before it came, or was lost, has another answer so.
	searchTime, giveTime = time.Minute, 5 * time.Minute
	// searchTick is how soon it is noticed that no tracker answers.
	searchTick = 500 * time.Millisecond
	// answerTime is within what a node that has everything connects to one that searches, at random: a whole room may.
	answerTime = time.Second
	// answerRate is how many searches a second are followed, answerBurst how many at once.
	answerRate, answerBurst = 20, 100
)

// local is an engine's part in local service discovery.
type local struct {
	conn *lsd.Conn
	// cookie marks the engine's own searches, which it hears as well.
	cookie string
	limit  *rate.Limiter
}

// listenLocal joins in, if the engine is to. Where that fails, trackers have to do.
func (e *Engine) listenLocal() {
	if !e.cfg.Local {
		return
	}
	conn, err := lsd.Listen(e.cfg.Listen.Addr())
	if err != nil {
		e.log.Warn("other nodes are found by the seeder alone", "err", err)
		return
	}
	e.local = &local{conn, rand.Text(), rate.NewLimiter(answerRate, answerBurst)}
	e.group.Go(e.hear)
}

// closeLocal ends it.
func (e *Engine) closeLocal() {
	if e.local != nil {
		_ = e.local.conn.Close()
	}
}

// search multicasts that a torrent takes part, while no tracker answers, until it is removed.
func (e *Engine) search(f *entry) {
	if e.local == nil {
		return
	}
	tick := time.NewTicker(searchTick)
	defer tick.Stop()
	var last time.Time
	for {
		select {
		case <-f.ctx.Done():
			return
		case now := <-tick.C:
			if f.told.silent(now, f.began) && now.Sub(last) >= f.searchPause() {
				last = now
				e.sendSearch(f)
			}
		}
	}
}

func (f *entry) searchPause() time.Duration {
	if f.torrent.Complete().Bool() {
		return giveTime
	}
	return searchTime
}

func (e *Engine) sendSearch(f *entry) {
	s := lsd.Search{Port: uint16(e.Port()), InfoHashes: []catalog.InfoHash{f.layout.hash}, Cookie: e.local.cookie}
	err := e.local.conn.Send(s)
	f.trouble.set("search in the local network", err)
	e.log.Info("no tracker answers: searching for other nodes in the local network", "system", f.layout.name, "err", err)
}

// hear connects to who searches for what this engine has to do with, until the engine is closed.
func (e *Engine) hear() {
	for {
		s, from, err := e.local.conn.Receive()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			e.log.Warn("listen for searches in the local network", "err", err)
			sleep(e.ctx, time.Second)
			continue
		}
		if s.Cookie != e.local.cookie {
			e.answer(s, netip.AddrPortFrom(from, s.Port))
		}
	}
}

// answer connects to who searches.
func (e *Engine) answer(s lsd.Search, peer netip.AddrPort) {
	for _, h := range s.InfoHashes {
		f := e.entry(h)
		if f == nil || !e.local.limit.Allow() {
			continue
		}
		wait := time.Duration(0)
		if f.torrent.Complete().Bool() {
			wait = math.N(answerTime)
		}
		time.AfterFunc(wait, func() {
			if f.ctx.Err() == nil {
				e.connect(f, []netip.AddrPort{peer})
			}
		})
	}
}

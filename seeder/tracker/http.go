package tracker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// The events of BEP 3 that change anything; "started" and none say the same: the peer is here.
const (
	eventStopped   = "stopped"
	eventCompleted = "completed"
)

// eventStarted and eventRegular are told Config.Observe beside those above.
const eventStarted, eventRegular = "started", "regular"

// The outcomes of an announce.
const answered, refused = "answered", "refused"

// eventName is an event as Config.Observe is told it.
func eventName(event string) string {
	switch event {
	case eventStarted, eventCompleted, eventStopped:
		return event
	}
	return eventRegular
}

// announce is a parsed request.
type announce struct {
	infoHash catalog.InfoHash
	peerID   string
	// addr is where the client takes connections: the address it came from with the port it names.
	addr netip.AddrPort
	// local is the address of this machine the request came to; zero if unknown.
	local    netip.Addr
	event    string
	complete bool
	numwant  int
	// visits says that the client has another seeder, which answers: far=1, a parameter of this project.
	visits bool
	// mirror says that the client gives what it gets to a network of its own: mirror=1, likewise.
	mirror bool
	// compact and noPeerID are how the peers are to be written (BEP 23, BEP 3).
	compact, noPeerID bool
}

// Announce answers announces. Errors in a request are answered as BEP 3 says: status 200 and a "failure reason".
func (t *Tracker) Announce() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !read(w, r) {
			return
		}
		a, err := parseAnnounce(r)
		if err != nil {
			t.cfg.Observe(eventName(r.URL.Query().Get("event")), refused)
			t.fail(w, r, err)
			return
		}
		ans, ok := t.announce(a)
		if !ok {
			t.cfg.Observe(eventName(a.event), refused)
			t.fail(w, r, fmt.Errorf("torrent %s is not one of this site's", a.infoHash))
			return
		}
		t.cfg.Observe(eventName(a.event), answered)
		t.cfg.Log.Debug("announce", "torrent", a.infoHash, "peer", a.addr, "event", a.event, "complete", a.complete,
			"peers", len(ans.peers))
		respond(w, t.announceResponse(a, ans))
	})
}

// Scrape answers scrapes (BEP 48): of the torrents named by info_hash, or of all when none is named.
func (t *Tracker) Scrape() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !read(w, r) {
			return
		}
		var hs []catalog.InfoHash
		for _, raw := range r.URL.Query()["info_hash"] {
			h, err := parseInfoHash(raw)
			if err != nil {
				t.fail(w, r, err)
				return
			}
			hs = append(hs, h)
		}
		files := dict{}
		for h, c := range t.scrape(hs, localAddr(r)) {
			files[string(h[:])] = dict{"complete": c.complete, "incomplete": c.incomplete, "downloaded": c.downloaded}
		}
		respond(w, dict{"files": files})
	})
}

// read reports whether a request is a GET or HEAD, and answers it if it isn't.
func read(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, "the tracker is asked by GET", http.StatusMethodNotAllowed)
	return false
}

func (t *Tracker) fail(w http.ResponseWriter, r *http.Request, err error) {
	t.cfg.Log.Debug("tracker request refused", "client", r.RemoteAddr, slog.Any("err", err))
	respond(w, dict{"failure reason": err.Error()})
}

func respond(w http.ResponseWriter, d dict) {
	// What trackers have always said, though the body isn't text.
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "no-store")
	// The only error is a client that has gone.
	_, _ = w.Write(bencode(nil, d))
}

// announceResponse is the dictionary of BEP 3, with the usual extensions "complete", "incomplete" and "min interval".
func (t *Tracker) announceResponse(a announce, ans answer) dict {
	seconds := int(t.cfg.Interval / time.Second)
	d := dict{
		"interval":     seconds,
		"min interval": max(1, seconds/2),
		"tracker id":   "boottorrent",
		"complete":     ans.complete,
		"incomplete":   ans.incomplete,
	}
	if a.compact {
		d["peers"] = compactPeers(ans)
	} else {
		d["peers"] = peerDicts(ans, a.noPeerID)
	}
	return d
}

// compactPeers is BEP 23's string: 4 bytes address and 2 bytes port, big-endian, a peer.
func compactPeers(ans answer) string {
	b := make([]byte, 0, 6*(1+len(ans.peers)))
	add := func(ap netip.AddrPort) {
		if ap.Addr().Is4() {
			ip := ap.Addr().As4()
			b = append(b, ip[:]...)
			b = append(b, byte(ap.Port()>>8), byte(ap.Port()))
		}
	}
	add(ans.seed)
	for _, p := range ans.peers {
		add(p.addr)
	}
	return string(b)
}

// peerDicts is BEP 3's list. The seed has no "peer id" there: it never told one.
func peerDicts(ans answer, noPeerID bool) []any {
	l := []any{}
	if ans.seed.IsValid() {
		l = append(l, dict{"ip": ans.seed.Addr().String(), "port": int(ans.seed.Port())})
	}
	for _, p := range ans.peers {
		d := dict{"ip": p.addr.Addr().String(), "port": int(p.addr.Port())}
		if !noPeerID {
			d["peer id"] = p.id
		}
		l = append(l, d)
	}
	return l
}

// parseAnnounce checks a request. What is needed to answer is refused when it makes no sense: info_hash, peer_id, port. The rest
// is read as kindly as can be, as clients differ: an unknown event is none, a left that is negative or no number is something left,
// a numwant out of range is brought into it. Parameters that aren't needed (ip, ipv6, key, trackerid, corrupt, …) are not read.
func parseAnnounce(r *http.Request) (announce, error) {
	q := r.URL.Query()
	a := announce{
		event:    q.Get("event"),
		peerID:   q.Get("peer_id"),
		complete: nothingLeft(q.Get("left")) || q.Get("event") == eventCompleted,
		numwant:  parseNumwant(q),
		compact:  q.Get("compact") != "0",
		noPeerID: q.Get("no_peer_id") == "1",
		visits:   q.Get("far") == "1",
		mirror:   q.Get("mirror") == "1",
		local:    localAddr(r),
	}
	var err error
	if a.infoHash, err = parseInfoHash(q.Get("info_hash")); err != nil {
		return announce{}, err
	}
	if len(a.peerID) != 20 {
		return announce{}, fmt.Errorf("peer_id has %d bytes, want 20", len(a.peerID))
	}
	port, err := strconv.ParseUint(q.Get("port"), 10, 16)
	if err != nil || port == 0 {
		return announce{}, fmt.Errorf("port %q is not a number from 1 to 65535", q.Get("port"))
	}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return announce{}, errors.New("cannot tell the address the request came from")
	}
	a.addr = netip.AddrPortFrom(remote.Addr().Unmap().WithZone(""), uint16(port))
	return a, nil
}

// nothingLeft reports whether a client has all of a torrent: its left is zero. µTorrent says 2⁶³−1 and others -1 for "not known yet".
func nothingLeft(left string) bool {
	n, err := strconv.ParseInt(left, 10, 64)
	return err == nil && n == 0
}

// parseInfoHash takes the 20 raw bytes that net/url has unescaped already.
func parseInfoHash(raw string) (h catalog.InfoHash, err error) {
	if len(raw) != len(h) {
		return h, fmt.Errorf("info_hash has %d bytes, want %d (percent-encoded, not as hexadecimal digits)", len(raw), len(h))
	}
	copy(h[:], raw)
	return h, nil
}

// parseNumwant is lenient: -1 is what some clients say for "as you like", and a number out of range gets what is there. A
// client that is leaving wants none.
func parseNumwant(q url.Values) int {
	if q.Get("event") == eventStopped {
		return 0
	}
	n, err := strconv.Atoi(q.Get("numwant"))
	if err != nil || n < 0 {
		return defaultNumwant
	}
	return min(n, maxNumwant)
}

// localAddr is the address of this machine a request came to; zero if the server doesn't tell.
func localAddr(r *http.Request) netip.Addr {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

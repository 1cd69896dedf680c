package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
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

// announce keeps one tracker informed until the torrent is removed, and dials the peers it names.
func (e *Engine) announce(f *entry, trackerURL string) {
	told, retry, completed := 0, minRetry, f.completed
	event := "started"
	for f.ctx.Err() == nil {
		answer, err := e.askTracker(f.ctx, announceTimeout, f, trackerURL, event)
		if f.ctx.Err() != nil {
			break
		}
		f.trouble.set("tracker "+trackerURL, err)
		pause := answer.interval
		if err != nil {
			f.told.fail(trackerURL)
			e.log.Debug("announce failed", "tracker", trackerURL, "system", f.layout.name, "err", err)
			pause, retry = retry, min(2*retry, maxRetry)
		} else {
			e.dial(f, answer.peers)
			f.told.set(trackerURL, answer, time.Now())
			told, retry, event = told+1, minRetry, ""
			if told == 1 {
				pause = min(pause, soon)
			}
		}
		select {
		case <-f.ctx.Done():
		case <-time.After(pause):
		case <-completed:
			completed = nil
			if told > 0 {
				event = "completed"
			}
		}
	}
	if told > 0 {
		_, _ = e.askTracker(context.Background(), stopTimeout, f, trackerURL, "stopped")
	}
}

// answer is what a tracker says: how long to wait before the next announce, peers, and how many of all lack something.
type answer struct {
	interval   time.Duration
	peers      []netip.AddrPort
	incomplete int
}

// askTracker announces an event ("" for none).
func (e *Engine) askTracker(ctx context.Context, timeout time.Duration, f *entry, trackerURL, event string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u, err := url.Parse(trackerURL)
	if err != nil {
		return answer{}, err
	}
	u.RawQuery = e.announceQuery(f, event).Encode()
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
func (e *Engine) announceQuery(f *entry, event string) url.Values {
	id, s := e.client.PeerID(), e.stats(f)
	q := url.Values{}
	q.Set("info_hash", string(f.layout.hash[:]))
	q.Set("peer_id", string(id[:]))
	q.Set("port", strconv.Itoa(e.Port()))
	q.Set("uploaded", strconv.FormatInt(s.Uploaded, 10))
	q.Set("downloaded", strconv.FormatInt(s.Received(), 10))
	q.Set("left", strconv.FormatInt(s.Size-s.Done, 10))
	q.Set("compact", "1")
	q.Set("numwant", strconv.Itoa(numWant))
	if event != "" {
		q.Set("event", event)
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
		self := p.Addr() == e.cfg.Listen.Addr() && int(p.Port()) == e.Port()
		if !self && !e.conns.connected(f, p) && !e.snubs.snubbed(p.Addr()) {
			infos = append(infos, torrent.PeerInfo{Addr: net.TCPAddrFromAddrPort(p), Source: torrent.PeerSourceTracker})
		}
	}
	if len(infos) > 0 {
		f.torrent.AddPeers(infos)
	}
}

// Package forward hands on what the nodes of a mirror tell: in go their reports, logs and other requests as they came, out go the same requests
// to the seeder that the mirror follows, with the node's own address ([Header]); and what that answers comes back: orders for the node.
//
// While that seeder doesn't take them they are kept: of each node the last report, and of logs what there is room for, on the disk. When it takes
// them again they are sent, the oldest first. What is too much is dropped, the oldest first, and counted.
package forward

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/order"
)

const (
	// senders is how many requests are under way at a time, beside logSenders with logs.
	senders, logSenders = 8, 4
	// sendTime is how long one may take, pauseTime how long nothing is sent after one that failed.
	sendTime, pauseTime = 10 * time.Second, 2 * time.Second
	// answerTime is how long a node's report waits for what the other seeder answers, and maxWaiting how many do at a time: a node that waits
	// takes one of the places for reports. An order that comes later is given at the next report.
	answerTime, maxWaiting = time.Second, 32
	// orderTime is how long an order is given on after it came.
	orderTime = 2 * time.Minute
	// maxKept is how much of reports is kept, in bytes: those of 10,000 nodes have 10 MB. maxSpooled is the same of logs, on the disk.
	maxKept, maxSpooled = 24 << 20, 64 << 20
	// saveTime is how often kept reports are written down.
	saveTime = 30 * time.Second
)

// Config is what a Forwarder needs.
type Config struct {
	// Dir is the folder of what is kept.
	Dir string
	// To is the base URL of the seeder that is followed; empty: none has answered yet.
	To func() string
	// Hello returns the headers by which that seeder knows the mirror.
	Hello func() http.Header
	// Client sends; nil: one that knows no proxy.
	Client *http.Client
	Log    *slog.Logger
	Now    func() time.Time
}

// Forwarder hands on. Its methods may be called concurrently.
type Forwarder struct {
	cfg  Config
	logs *spool

	mu   sync.Mutex
	more *sync.Cond // something can be sent, or ctx of Run has ended
	kept queue
	// orders are by MAC.
	orders  map[string]given
	waiting int
	// paused is until when nothing is sent; away since when nothing is taken, zero: it is; why is the reason.
	paused, away time.Time
	why          string
	reports      Counts
	// changed says that what is kept is not written down, written that something is.
	changed, written bool
	stopped          bool
}

// Counts are of reports and other requests, or of batches of logs.
type Counts struct {
	// Sent were taken by the other seeder, Refused were not and won't be, Dropped were too much to be kept.
	Sent    int64 `json:"sent"`
	Refused int64 `json:"refused"`
	Dropped int64 `json:"dropped"`
	// Kept wait to be sent, and have so many bytes.
	Kept      int   `json:"kept"`
	KeptBytes int64 `json:"kept_bytes"`
}

// State is how it stands with what is handed on.
type State struct {
	Reports Counts `json:"reports"`
	Logs    Counts `json:"logs"`
	// Away is since when the other seeder takes nothing, Trouble is why; zero: it does.
	Away    time.Time `json:"away,omitzero"`
	Trouble string    `json:"trouble,omitempty"`
}

// given is an order that the other seeder gives a node.
type given struct {
	boot  string
	order []byte
	came  time.Time
}

// Item is a request of a node's.
type Item struct {
	// Key tells what takes the place of what: of those with the same one the last is sent.
	Key string `json:"key"`
	// Path is where it is posted, Body what.
	Path string     `json:"path"`
	Body []byte     `json:"body"`
	Node netip.Addr `json:"node"`
	// Via, At and Doubt are as in Origin: from whom the mirror has it if not from the node, when it was said, and whether it may be another's.
	Via   string    `json:"via,omitempty"`
	At    time.Time `json:"at"`
	Doubt bool      `json:"doubt,omitempty"`
	// MAC and Boot are of a report, whose answer may be an order for that boot.
	MAC  string `json:"mac,omitempty"`
	Boot string `json:"boot,omitempty"`
	// done is closed when it was sent, or never will be.
	done chan struct{}
}

// Open returns a forwarder with what was kept before the last restart.
func Open(cfg Config) *Forwarder {
	if cfg.Client == nil {
		cfg.Client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders + logSenders, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	f := &Forwarder{cfg: cfg, logs: openSpool(filepath.Join(cfg.Dir, "logs"), maxSpooled, cfg.Log), orders: map[string]given{}}
	f.more = sync.NewCond(&f.mu)
	f.kept.limit = maxKept
	f.recall()
	return f
}

// Run sends until ctx ends, and then writes down what is kept.
func (f *Forwarder) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, func() {
		f.mu.Lock()
		f.stopped = true
		f.mu.Unlock()
		f.more.Broadcast()
	})()
	var group sync.WaitGroup
	for range senders {
		group.Go(func() { f.send(ctx) })
	}
	for shard := range logSenders {
		group.Go(func() { f.sendLogs(ctx, shard) })
	}
	tick := time.NewTicker(saveTime)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			f.save()
		}
	}
	group.Wait()
	f.save()
}

// Report hands on a node's report, and returns the order that the node gets; nil: none is known of, or it is in doubt who reports. It waits a moment for the other
// seeder's answer, if that answers at all.
func (f *Forwarder) Report(i Item) []byte {
	i.Key, i.Path = "report "+i.MAC, catalog.PathReport
	f.mu.Lock()
	done := f.add(&i)
	wait := !i.Doubt && f.away.IsZero() && f.waiting < maxWaiting && f.cfg.To() != ""
	if wait {
		f.waiting++
	}
	f.mu.Unlock()
	if wait {
		timer := time.NewTimer(answerTime)
		select {
		case <-done:
		case <-timer.C:
		}
		timer.Stop()
		f.mu.Lock()
		f.waiting--
		f.mu.Unlock()
	}
	if i.Doubt {
		return nil // it may be another's
	}
	return f.order(i.MAC, i.Boot)
}

// Post hands on another request.
func (f *Forwarder) Post(i Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(&i)
}

// Log hands on lines of a node's log.
func (f *Forwarder) Log(i Item) {
	f.logs.add(&i)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.more.Broadcast()
}

// add keeps a request until it is sent. The caller holds the lock.
func (f *Forwarder) add(i *Item) (done <-chan struct{}) {
	i.done = make(chan struct{})
	for _, gone := range f.kept.add(i) {
		f.reports.Dropped++
		close(gone.done)
	}
	f.changed = true
	f.more.Broadcast()
	return i.done
}

// order is the order for a boot of a node; nil: there is none.
func (f *Forwarder) order(mac, boot string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	g, ok := f.orders[mac]
	if !ok || g.boot != boot || f.cfg.Now().Sub(g.came) > orderTime {
		delete(f.orders, mac)
		return nil
	}
	return g.order
}

// send sends what is kept until ctx ends.
func (f *Forwarder) send(ctx context.Context) {
	for {
		f.mu.Lock()
		var i *Item
		for !f.stopped {
			if !f.pausing() {
				i = f.kept.next()
			}
			if i != nil {
				break
			}
			f.more.Wait()
		}
		f.mu.Unlock()
		if i == nil {
			return
		}
		answer, err := f.post(ctx, i)
		f.sent(ctx, i, answer, err)
	}
}

// pausing reports whether nothing is sent now. The caller holds the lock.
func (f *Forwarder) pausing() bool { return f.cfg.Now().Before(f.paused) }

// sent notes what became of a request.
func (f *Forwarder) sent(ctx context.Context, i *Item, answer []byte, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.kept.busy, i.Key)
	defer f.more.Broadcast()
	switch {
	case err == nil:
		f.taken()
		f.reports.Sent++
		if i.MAC == "" || i.Doubt {
			break
		}
		delete(f.orders, i.MAC)
		if len(answer) > 0 {
			f.orders[i.MAC] = given{i.Boot, answer, f.cfg.Now()}
		}
	case refused(err):
		f.taken()
		f.reports.Refused++
		f.cfg.Log.Warn("the seeder that is followed refuses what a node has sent", "path", i.Path, "node", i.Node, "err", err)
	default:
		f.pause(ctx, err)
		if f.kept.putBack(i) {
			return // it waits still
		}
	}
	close(i.done)
	f.changed = true
}

// taken notes that the other seeder takes what it is sent. The caller holds the lock.
func (f *Forwarder) taken() {
	if !f.away.IsZero() {
		f.cfg.Log.Info("nodes' reports and logs are taken again by the seeder that is followed", "kept", f.kept.len())
	}
	f.away, f.why, f.paused = time.Time{}, "", time.Time{}
}

// pause sends nothing for a while. The caller holds the lock.
func (f *Forwarder) pause(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	now := f.cfg.Now()
	if f.away.IsZero() {
		f.away = now
		f.cfg.Log.Warn("nodes' reports and logs are kept, as the seeder that is followed does not take them", "err", err)
	}
	f.why, f.paused = err.Error(), now.Add(pauseTime)
	time.AfterFunc(pauseTime, f.more.Broadcast)
}

// statusError is an answer that is no success.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

// refused reports whether the same request will not be taken later either.
func refused(err error) bool {
	e, ok := err.(*statusError)
	return ok && e.code >= 400 && e.code < 500 && e.code != http.StatusTooManyRequests
}

// post sends a request, and returns the answer's body.
func (f *Forwarder) post(ctx context.Context, i *Item) ([]byte, error) {
	to := f.cfg.To()
	if to == "" {
		return nil, fmt.Errorf("no seeder that this one follows has answered yet")
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to+i.Path, bytes.NewReader(i.Body))
	if err != nil {
		return nil, err
	}
	for key, values := range f.cfg.Hello() {
		req.Header[key] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(Header, Origin{Node: i.Node, Via: i.Via, Age: max(0, f.cfg.Now().Sub(i.At)), Doubt: i.Doubt}.String())
	resp, err := f.cfg.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, order.MaxAnswer+1))
	switch {
	case resp.StatusCode == http.StatusOK && len(body) > order.MaxAnswer:
		return nil, fmt.Errorf("POST %s%s: the answer is longer than %d bytes", to, i.Path, order.MaxAnswer)
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusNoContent:
		return body, err
	}
	return nil, &statusError{resp.StatusCode, fmt.Sprintf("POST %s%s: %s: %.200s", to, i.Path, resp.Status, cmp.Or(string(bytes.TrimSpace(body)), "no reason is given"))}
}

// State is how it stands now.
func (f *Forwarder) State() State {
	logs := f.logs.counts()
	f.mu.Lock()
	defer f.mu.Unlock()
	reports := f.reports
	reports.Kept, reports.KeptBytes = f.kept.len(), f.kept.bytes
	return State{Reports: reports, Logs: logs, Away: f.away, Trouble: f.why}
}

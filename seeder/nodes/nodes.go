// Package nodes remembers what the nodes of a room last said about themselves: in go their reports
// (POST /api/report), out come one log line a step and node, and the list of all nodes (GET /api/nodes).
//
// Reports are shown and logged, never trusted: whoever can reach the seeder can send any.
package nodes

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// maxBody is the size of a report in bytes; a real one has about 600.
	maxBody = 64 << 10
	// maxNodes is how many MACs are remembered; the one silent for longest makes room for a new one.
	maxNodes = 4096
)

// Registry is the last report of each node. Its methods may be called concurrently.
type Registry struct {
	// Names returns the name the operator gave a MAC (aa:bb:cc:dd:ee:ff), or "". It goes before the name a node reports.
	// Nil: nobody has one. To be set before the registry is used.
	Names func(mac string) string

	log   *slog.Logger
	now   func() time.Time
	mu    sync.Mutex
	nodes map[string]report.Node
}

// New returns an empty registry that logs steps to log and takes the time from now; nil means none and time.Now.
func New(log *slog.Logger, now func() time.Time) *Registry {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	return &Registry{log: log, now: now, nodes: map[string]report.Node{}}
}

// ReportHandler takes a report.Report as JSON by POST: 204 if it was taken, 400 with the reason if it can't be, 413 if
// it is larger than 64 KiB.
func (r *Registry) ReportHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			http.Error(w, "send a report by POST", http.StatusMethodNotAllowed)
			return
		}
		rep, err := decode(http.MaxBytesReader(w, req.Body, maxBody))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			http.Error(w, "the report is larger than 64 KiB", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			r.log.Debug("report refused", "client", req.RemoteAddr, slog.Any("err", err))
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if from, err := netip.ParseAddrPort(req.RemoteAddr); err == nil && rep.IP == "" {
			rep.IP = from.Addr().Unmap().String()
		}
		r.record(rep)
		w.WriteHeader(http.StatusNoContent)
	})
}

// ListHandler answers GET with the list as a JSON array of report.Node.
func (r *Registry) ListHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the list of nodes is read by GET", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		// The only error is a client that has gone: every number in the list is finite.
		_ = e.Encode(r.List())
	})
}

// Name returns the name of the node with a MAC (aa:bb:cc:dd:ee:ff), the operator's or the one it reported; empty if it has none.
func (r *Registry) Name(mac string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nodes[mac].Name
}

// List returns all nodes, sorted by address, then MAC. It is never nil.
func (r *Registry) List() []report.Node {
	r.mu.Lock()
	list := make([]report.Node, 0, len(r.nodes))
	for _, n := range r.nodes {
		list = append(list, n)
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b report.Node) int {
		// An address that is none sorts first.
		x, _ := netip.ParseAddr(a.IP)
		y, _ := netip.ParseAddr(b.IP)
		if c := x.Compare(y); c != 0 {
			return c
		}
		return strings.Compare(a.MAC, b.MAC)
	})
	return list
}

// record keeps a valid report, and logs what it adds to the one before.
func (r *Registry) record(rep report.Report) {
	if r.Names != nil {
		if name := r.Names(rep.MAC); name != "" {
			rep.Name = name
		}
	}
	now := r.now()

	r.mu.Lock()
	old, known := r.nodes[rep.MAC]
	if !known && len(r.nodes) >= maxNodes {
		r.dropOldest()
	}
	if old.Boot != rep.Boot {
		old = report.Node{}
	}
	node := report.Node{Report: rep, Since: now, Seen: now}
	if old.Step == rep.Step && !old.Since.IsZero() {
		node.Since = old.Since
	}
	r.nodes[rep.MAC] = node
	r.mu.Unlock()

	logSteps(r.log, old.Report, rep)
	logNews(r.log, old.Report, rep)
}

// dropOldest forgets the node that has been silent for longest. r.mu is held.
func (r *Registry) dropOldest() {
	oldest := ""
	for mac, n := range r.nodes {
		if oldest == "" || n.Seen.Before(r.nodes[oldest].Seen) {
			oldest = mac
		}
	}
	delete(r.nodes, oldest)
}

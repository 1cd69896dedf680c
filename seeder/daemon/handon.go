package daemon

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/fleet"
	"github.com/boottorrent/boottorrent/seeder/forward"
)

// handOnDir is the folder, below site.StateDir, of what a mirror keeps for the seeder that it follows.
const handOnDir = "forward"

// handOn hands on what a mirror's nodes tell.
type handOn struct {
	feed *mirrored
	to   *forward.Forwarder

	mu sync.Mutex
	// done are, by the IDs of what was said for once, the machines that have followed it here, as long as the catalog may not say so.
	done map[string][]string
}

func (f *mirrored) newHandOn() *handOn {
	return &handOn{feed: f, done: map[string][]string{}, to: forward.Open(forward.Config{
		Dir: filepath.Join(f.daemon.state, handOnDir), To: func() string { return f.state().Following }, Hello: f.hello, Log: f.daemon.Log, Now: time.Now,
	})}
}

// item is a request from somebody, which goes to the seeder that is followed.
func (h *handOn) item(mac string, s fleet.Sender) forward.Item {
	return forward.Item{MAC: mac, Node: s.Node, Via: s.Via, At: s.At, Body: s.Body, Doubt: s.Doubt || h.feed.daemon.impostor(mac, s.Node)}
}

// report hands on a report, and returns the order that the node gets; nil: none.
func (h *handOn) report(rep report.Report, s fleet.Sender) []byte {
	i := h.item(rep.MAC, s)
	i.Boot = rep.Boot
	if rep.Next != "" && !i.Doubt {
		h.follows(rep.Next, rep.MAC)
	}
	return h.to.Report(i)
}

// logged hands on lines of a log.
func (h *handOn) logged(l report.Log, s fleet.Sender) { h.to.Log(h.item(l.MAC, s)) }

// local hands on that a machine wants to start its disk, or that it was sent there.
func (h *handOn) local(r catalog.LocalRequest, from netip.Addr) {
	if !from.IsValid() {
		from = netip.IPv4Unspecified() // firmware did not say it
	}
	body, err := json.Marshal(r)
	if err != nil {
		return // it has nothing that can't be written
	}
	key := "wish " + r.MAC
	if r.Sent {
		key = "sent " + r.MAC
		h.follows(r.Next, r.MAC)
	}
	h.to.Post(forward.Item{Key: key, Path: catalog.PathLocal, Node: from, At: time.Now(), Body: body})
}

// follows notes that a machine follows what was said to be started next.
func (h *handOn) follows(id, mac string) {
	cat := h.feed.catalog()
	if cat == nil || !slices.ContainsFunc(cat.Rules.Next, func(n catalog.Next) bool { return n.ID == id && n.Once }) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, there := slices.BinarySearch(h.done[id], mac); !there {
		h.done[id] = slices.Insert(h.done[id], at, mac)
	}
}

// catalog is the one that is served, with who has followed here what was said for once: the seeder that is followed may be away, and a machine
// must not be sent to its disk again and again meanwhile. Nodes read the signed one, which says so when that seeder is back.
func (h *handOn) catalog() *catalog.Catalog {
	cat := h.feed.catalog()
	h.mu.Lock()
	defer h.mu.Unlock()
	if cat == nil || len(h.done) == 0 {
		return cat
	}
	with := *cat
	with.Rules.Next = slices.Clone(cat.Rules.Next)
	listed := map[string]bool{}
	for i := range with.Rules.Next {
		n := &with.Rules.Next[i]
		if listed[n.ID] = true; len(h.done[n.ID]) > 0 {
			n.Done = append(slices.Clone(n.Done), h.done[n.ID]...)
			slices.Sort(n.Done)
		}
	}
	for id := range h.done {
		if !listed[id] {
			delete(h.done, id)
		}
	}
	return &with
}

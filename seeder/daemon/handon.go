package daemon

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
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
	once *once
}

func (f *mirrored) newHandOn() *handOn {
	dir := filepath.Join(f.daemon.state, handOnDir)
	return &handOn{feed: f, once: openOnce(filepath.Join(dir, onceFile), f.daemon.Log), to: forward.Open(forward.Config{
		Dir: dir, To: func() string { return f.state().Following }, Hello: f.hello, Log: f.daemon.Log, Now: time.Now,
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
func (h *handOn) follows(id, mac string) { h.once.note(h.feed.catalog(), id, mac) }

// catalog is the one that is served, with who has followed here what was said for once: a machine must not be sent to its disk again and again
// while the seeder that is followed is away. Nodes read the signed one, which says so when that seeder is back.
func (h *handOn) catalog() *catalog.Catalog { return h.once.catalog(h.feed.catalog()) }

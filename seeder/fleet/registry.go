package fleet

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// node is what is remembered of one.
type node struct {
	report.Node
}

// timeFetch notes when downloading begins and ends. A boot that goes on under another kernel downloads twice: that is one time, from the
// first beginning to the last end.
func (n *node) timeFetch(now time.Time) {
	switch fetching := n.Step == report.Fetch && n.State == report.Running; {
	case fetching && n.FetchBegan.IsZero():
		n.FetchBegan = now
	case fetching:
		n.FetchEnded = time.Time{}
	case !n.FetchBegan.IsZero() && n.FetchEnded.IsZero():
		n.FetchEnded = now
	}
}

// nodeCost is what a node takes beside the bytes of its texts: the report, its durations, and its places in map and quota.
const nodeCost = 1200

// cost is what a node takes of memory, in bytes.
func (n *node) cost() int64 {
	cost := nodeCost + reportCost(&n.Report) + len(n.Via)
	if n.Previous != nil {
		cost += nodeCost + reportCost(n.Previous)
	}
	return int64(cost)
}

// reportCost is the bytes of a report's texts and addresses.
func reportCost(r *report.Report) int {
	cost := len(r.Boot) + len(r.UUID) + len(r.Name) + len(r.Arch) + len(r.Error) + len(r.System) + len(r.InfoHash) + len(r.HostKey) +
		len(r.IP) + len(r.MAC) + len(r.Serial) + len(r.Vendor) + len(r.Model) + len(r.Firmware) + len(r.Group) + len(r.Machine) + len(r.Next) + 24*len(r.Banned) + 32*len(r.Sources)
	if r.Order != nil {
		cost += 64 + len(r.Order.Text)
	}
	if r.Exit != nil {
		cost += 100 + len(r.Exit.System) + len(r.Exit.Reason)
		for _, line := range r.Exit.Lines {
			cost += 16 + len(line)
		}
	}
	return cost
}

// record keeps a valid report, and logs what it adds to the one before. One that a mirror kept for long is none any more where the node has
// reported since.
func (f *Fleet) record(rep report.Report, from Sender) {
	if name := f.cfg.Names(rep.MAC); name != "" {
		rep.Name = name
	}
	now := from.At

	f.mu.Lock()
	n := &node{report.Node{Report: rep, Via: from.Via, Since: now, Seen: now}}
	var old report.Report // of the same boot
	item := f.nodes[rep.MAC]
	switch {
	case item == nil:
	case from.Via != "" && now.Before(item.Value.Seen):
		f.mu.Unlock()
		return
	case item.Value.Boot == rep.Boot:
		old = item.Value.Report
		n.Previous, n.FetchBegan, n.FetchEnded = item.Value.Previous, item.Value.FetchBegan, item.Value.FetchEnded
		if old.Step == rep.Step {
			n.Since = item.Value.Since
		}
	default:
		previous := item.Value.Report
		n.Previous = &previous
	}
	n.timeFetch(now)
	if item == nil {
		f.nodes[rep.MAC] = f.reports.Add(from.By, n.cost(), n)
	} else {
		item.Value = n
		f.reports.Update(item, from.By, n.cost())
	}
	for gone := f.reports.Excess(); gone != nil; gone = f.reports.Excess() {
		f.reports.Remove(gone)
		delete(f.nodes, gone.Value.MAC)
	}
	f.mu.Unlock()

	if f.cfg.Observe != nil {
		f.cfg.Observe(n.Node, from.By)
	}
	if f.cfg.Changed != nil {
		f.cfg.Changed(old, rep)
	}
	f.logNews(old, rep)
}

// Name returns the name of the node with a MAC (aa:bb:cc:dd:ee:ff), the operator's or the one it reported; empty if it has none.
func (f *Fleet) Name(mac string) string {
	if name := f.cfg.Names(mac); name != "" {
		return name
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if item := f.nodes[mac]; item != nil {
		return item.Value.Name
	}
	return ""
}

// Each calls do for each node, in no order; do must be quick, and not keep the node.
func (f *Fleet) Each(do func(*report.Node)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, item := range f.nodes {
		do(&item.Value.Node)
	}
}

// List returns all nodes, sorted by address, then MAC. It is never nil.
func (f *Fleet) List() []report.Node {
	f.mu.Lock()
	list := make([]report.Node, 0, len(f.nodes))
	for _, item := range f.nodes {
		list = append(list, item.Value.Node)
	}
	f.mu.Unlock()
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

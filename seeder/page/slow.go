package page

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/text"
)

// slower is what part of the others' rate a machine gets at most that is called slow.
const slower = 0.7

// slowest names the slowest machine of a session and says why, if it is slower than the others; of those that still download, if there
// are any.
func (s *session) slowest() string {
	if len(s.nodes) < 2 {
		return ""
	}
	var slow *member
	for i := range s.nodes {
		m := &s.nodes[i]
		if s.running && !m.running || m.node.State == report.Failed || m.node.Done == 0 && !m.running {
			continue
		}
		if slow == nil || m.rate() < slow.rate() {
			slow = m
		}
	}
	if slow == nil {
		return ""
	}
	var others []*report.Node
	var rates []float64
	for i := range s.nodes {
		if m := &s.nodes[i]; m.node != slow.node && m.node.State != report.Failed {
			others, rates = append(others, m.node), append(rates, m.rate())
		}
	}
	if len(others) == 0 || slow.rate() >= slower*median(rates) {
		return ""
	}
	got, they := text.Size(int64(slow.rate())), text.Size(int64(median(rates)))
	words := fmt.Sprintf("Slowest: %s got %s/s, the others %s/s.", slow.Name, got, they)
	if slow.running {
		words = fmt.Sprintf("Slowest: %s is at %s %%, with %s/s; the others get %s/s.", slow.Name, cmp.Or(slow.Percent, "0"), got, they)
	}
	return words + " " + why(slow.node, others)
}

// why says why a node is slower than others, and what to try: the first rule that holds.
func why(n *report.Node, others []*report.Node) string {
	middle := func(of func(*report.Node) int64) int64 {
		var all []float64
		for _, o := range others {
			if v := of(o); v > 0 {
				all = append(all, float64(v))
			}
		}
		return int64(median(all))
	}
	link := middle(func(n *report.Node) int64 { return n.LinkMbps })
	writing := middle(func(n *report.Node) int64 { return n.Writing })
	peers := middle(func(n *report.Node) int64 { return int64(n.Peers) })
	switch {
	case n.LinkMbps > 0 && n.LinkMbps < link:
		return fmt.Sprintf("Why: its link has %d Mbit/s, the others' %d. Try another cable, or another port of the switch.", n.LinkMbps, link)
	case n.Fallback:
		return "Why: nothing comes to it by BitTorrent, and it falls back to HTTP. Open TCP 6881 between it and the seeder."
	case n.FromHTTP > n.Received()/2:
		return "Why: most of it came by HTTP, as BitTorrent brought nothing. Open TCP 6881 between it and the seeder."
	case n.CPU >= 90:
		return fmt.Sprintf("Why: its processor is busy (%d %%).", n.CPU)
	case n.Writing > 0 && n.Writing < writing/3:
		return fmt.Sprintf("Why: its memory or disk takes %s/s, the others' %s/s.", text.Size(n.Writing), text.Size(writing))
	case int64(n.Peers) < peers/2:
		return fmt.Sprintf("Why: it is connected to %d others, they to %d. Does something keep it from them (TCP 6881, isolated ports)?", n.Peers, peers)
	case len(n.Banned) > 0:
		return "Why: others sent it wrong data."
	}
	return "Nothing that it reports says why; its log may."
}

// median is the one in the middle; 0 of none.
func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

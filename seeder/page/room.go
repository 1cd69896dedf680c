package page

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/seeder/helpers"
	"github.com/boottorrent/boottorrent/seeder/history"
	page "github.com/boottorrent/boottorrent/templates/page"
)

// room is what the front page shows, at one time. Nothing in it is changed afterwards but what is computed when it is asked for.
type room struct {
	now      time.Time
	cat      *catalog.Catalog // nil: none yet
	machines []machine
	// groups are those of the catalog, in its order.
	groups   []string
	findings []page.Finding
	// phase1 is what was sent of phase 1; nil: that is not known.
	phase1 *helpers.Counts
	// at is the machine that has an address.
	at map[netip.Addr]*machine

	mu    sync.Mutex
	views map[string]*view
	gave  *flows
}

// machine is one that has reported, or that the site knows.
type machine struct {
	page.Row
	// node is nil of one that has not reported.
	node *report.Node
}

// newRoom makes a room of what nodes report, of what the catalog says, and of what booted before the seeder started.
func newRoom(cat *catalog.Catalog, nodes []report.Node, known []history.Boot, now time.Time) *room {
	r := &room{now: now, cat: cat, at: map[netip.Addr]*machine{}, views: map[string]*view{}}
	order := map[string]int{}
	if cat != nil {
		for i, g := range cat.Rules.Groups {
			r.groups, order[g.Name] = append(r.groups, g.Name), i
		}
	}
	seen := map[string]bool{}
	for i := range nodes {
		n := &nodes[i]
		m := r.machine(n)
		seen[n.MAC] = true
		r.machines = append(r.machines, m)
	}
	last := map[string]*history.Boot{}
	for i := range known {
		last[known[i].MAC] = &known[i]
	}
	if cat != nil {
		for i := range cat.Rules.Machines {
			if m := &cat.Rules.Machines[i]; !seen[m.MAC] {
				seen[m.MAC] = true
				r.machines = append(r.machines, r.unseen(m, last[m.MAC]))
			}
		}
	}
	for i := range known {
		if b := &known[i]; !seen[b.MAC] && now.Sub(b.Seen) < forgotten {
			r.machines = append(r.machines, r.unseen(&catalog.Machine{MAC: b.MAC}, b))
		}
	}
	for i := range r.machines {
		m := &r.machines[i]
		rank, last := "1", len(order)
		if m.State == page.Failed {
			rank = "0"
		}
		if at, ok := order[m.Group]; ok {
			last = at
		}
		if m.node != nil {
			if addr, err := netip.ParseAddr(m.IP); err == nil {
				r.at[addr] = m
			}
		}
		m.Key = fmt.Sprintf("%s%04d %s %s", rank, last, natural(m.Name), m.ID)
	}
	for i := range r.machines {
		if m := &r.machines[i]; m.node != nil {
			m.From = r.from(m.node)
		}
	}
	sorted := slices.Clone(r.machines) // r.at keeps those that it leads to
	r.machines = sorted
	slices.SortFunc(r.machines, func(a, b machine) int { return strings.Compare(a.Key, b.Key) })
	return r
}

// natural is a name with its numbers made as long as each other, so that desk-9 comes before desk-10.
func natural(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		j := i
		for j < len(name) && name[j] >= '0' && name[j] <= '9' {
			j++
		}
		if j == i {
			b.WriteByte(name[i])
			i++
			continue
		}
		b.WriteString(strings.Repeat("0", max(0, 9-(j-i))))
		b.WriteString(name[i:j])
		i = j
	}
	return strings.ToLower(b.String())
}

// facts are what rules go by, as a node reported them.
func facts(n *report.Node) rules.Facts {
	f := rules.Facts{
		MAC: n.MAC, UUID: n.UUID, Serial: n.Serial, Vendor: n.Vendor, Model: n.Model, Arch: n.Arch, Firmware: n.Firmware,
		Memory: n.MemoryMiB << 20, SecureBoot: &n.SecureBoot, Complete: true,
	}
	f.Addr, _ = netip.ParseAddr(n.IP)
	return f
}

// machine makes the row of a node.
func (r *room) machine(n *report.Node) machine {
	m := machine{node: n}
	m.ID, m.IP, m.Group, m.System = n.MAC, n.IP, n.Group, n.System
	m.Name = cmp.Or(n.Machine, n.Name, n.IP, n.MAC)
	var next string
	if r.cat != nil {
		d := rules.For(r.cat, facts(n))
		if d.Machine != nil {
			m.Name = cmp.Or(d.Machine.Name, m.Name)
		}
		if next = ""; d.NextID != "" && d.NextID != n.Next {
			next = "next start: " + d.Next
		}
		m.Group = cmp.Or(m.Group, d.Group)
	}
	m.State, m.Step = stateOf(n, r.now)
	if n.Size > 0 || n.Complete {
		m.Percent = fmt.Sprintf("%.0f", n.Percent()-0.499)
	}
	m.Speed = speed(n)
	m.Note = strings.Join(notes(n, r.now, next), " ")
	return m
}

// forgotten is after how long a machine is no longer shown that neither the site names nor has booted.
const forgotten = 30 * 24 * time.Hour

// unseen makes the row of a machine that has not reported since the seeder started; last is its last boot before, nil: none is known.
func (r *room) unseen(known *catalog.Machine, last *history.Boot) machine {
	m := machine{Row: page.Row{ID: known.MAC, Name: cmp.Or(known.Name, known.Hostname), Group: known.Group, State: page.Off, Step: "has not reported"}}
	if last != nil {
		m.Name, m.Group, m.System = cmp.Or(m.Name, last.Name), cmp.Or(m.Group, last.Group), last.System
		m.Step = "off, or did not report since " + last.Seen.Local().Format(time.DateTime)
	}
	m.Name = cmp.Or(m.Name, known.MAC)
	if r.cat != nil {
		d := rules.For(r.cat, rules.Facts{MAC: known.MAC})
		m.Group = cmp.Or(m.Group, d.Group)
		if d.NextID != "" {
			m.Note = sentence("next start: " + d.Next)
		}
	}
	return m
}

// view is what of a room is in one group, or all of it.
type view struct {
	sums page.Sums
	rows []page.Row
	// more is how many machines there are beside the rows.
	more   int
	failed int
	// list are the machines.
	list []machine
	// number says how many there are in each state.
	number map[string]int
}

// view returns that of a group; of all for an empty name.
func (r *room) view(group string) *view {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.views[group]; v != nil {
		return v
	}
	v := &view{number: map[string]int{}}
	for _, m := range r.machines {
		if group != "" && m.Group != group {
			continue
		}
		v.list = append(v.list, m)
		v.number[m.State]++
	}
	shown := mostTelling(v.list)
	v.more = len(v.list) - len(shown)
	for _, m := range shown {
		v.rows = append(v.rows, m.Row)
	}
	v.failed = v.number[page.Failed]
	v.sums = r.sums(v)
	if len(r.views) < maxListeners {
		r.views[group] = v
	}
	return v
}

// mostTelling are all machines, or of too many those that have failed and those that reported last; in the same order.
func mostTelling(all []machine) []machine {
	if len(all) <= maxShown {
		return all
	}
	some := slices.Clone(all)
	rank := func(m machine) int {
		switch {
		case m.State == page.Failed:
			return 0
		case m.node == nil:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(some, func(a, b machine) int {
		if rank(a) != rank(b) || rank(a) != 1 {
			return cmp.Compare(rank(a), rank(b))
		}
		return b.node.Seen.Compare(a.node.Seen)
	})
	some = some[:maxShown]
	slices.SortFunc(some, func(a, b machine) int { return strings.Compare(a.Key, b.Key) })
	return some
}

// title is what stands before the site's name in the browser's tab.
func (v *view) title() string {
	switch {
	case v.failed > 0:
		return fmt.Sprintf("%d failed", v.failed)
	case v.number[page.Downloading] > 0:
		return fmt.Sprintf("%d download", v.number[page.Downloading])
	}
	return ""
}

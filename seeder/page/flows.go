package page

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/boottorrent/boottorrent/internal/text"
)

// flow is what one gave to another, in bytes.
type flow struct {
	from, to string
	bytes    int64
}

// flows are what was given in the last session: between machines if those are few, else between groups of them, the largest first.
type flows struct {
	all []flow
	// grouped says that machines are put together.
	grouped bool
}

const (
	// maxEnds is how many givers, or takers, the picture has at most.
	maxEnds = 12
	// seederEnd is who gives by BitTorrent and by HTTP, otherEnd whom nobody knows, or all that are not named.
	seederEnd = "the seeder"
	otherEnd  = "others"
)

// flows are those of a room.
func (r *room) flows() *flows {
	v := r.view("")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gave == nil {
		r.gave = r.newFlows(lastSession(v.list, r.now))
	}
	return r.gave
}

func (r *room) newFlows(s session) *flows {
	name, grouped := r.ends(s)
	sums := map[[2]string]int64{}
	add := func(from, to string, bytes int64) {
		if bytes > 0 {
			sums[[2]string{from, to}] += bytes
		}
	}
	for _, m := range s.nodes {
		n, to := m.node, name[m.ID]
		add(seederEnd, to, n.FromSeeder+n.FromHTTP)
		rest := n.FromNodes
		for _, source := range n.Sources {
			add(cmp.Or(name[source.Addr.String()], otherEnd), to, source.Bytes)
			rest -= source.Bytes
		}
		add(otherEnd, to, rest)
	}
	f := &flows{grouped: grouped}
	for ends, bytes := range sums {
		f.all = append(f.all, flow{ends[0], ends[1], bytes})
	}
	slices.SortFunc(f.all, func(a, b flow) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return f
}

// involved are the machines of a session, and those that gave them something.
func (r *room) involved(s session) (all []*machine) {
	seen := map[string]bool{}
	add := func(m *machine) {
		if m != nil && m.node != nil && !seen[m.ID] {
			seen[m.ID] = true
			all = append(all, m)
		}
	}
	for _, m := range s.nodes {
		add(m.machine)
	}
	for _, m := range s.nodes {
		for _, source := range m.node.Sources {
			add(r.at[source.Addr])
		}
	}
	return all
}

// ends says by which name a machine stands in the picture, by its MAC address and by its IP address: its own if they are few; else that
// of its group, or of its subnet of 24 bits; else its own if it gave much.
func (r *room) ends(s session) (name map[string]string, grouped bool) {
	all := r.involved(s)
	name = map[string]string{}
	for _, by := range []func(*machine) string{
		func(m *machine) string { return m.Name },
		func(m *machine) string { return m.Group },
		func(m *machine) string { return subnet(m.IP) },
	} {
		clear(name)
		ends := map[string]int{}
		for _, m := range all {
			end := cmp.Or(by(m), otherEnd)
			ends[end]++
			name[m.ID], name[m.IP] = end, end
		}
		if len(ends) <= maxEnds && (!grouped || len(ends) > 1) {
			if grouped {
				for key, end := range name {
					name[key] = fmt.Sprintf("%s (%d)", end, ends[end])
				}
			}
			return name, grouped
		}
		grouped = true
	}
	clear(name)
	slices.SortFunc(all, func(a, b *machine) int {
		return cmp.Or(cmp.Compare(b.node.Uploaded, a.node.Uploaded), cmp.Compare(a.Key, b.Key))
	})
	for i, m := range all {
		end := fmt.Sprintf("%d others", len(all)-(maxEnds-1))
		if i < maxEnds-1 {
			end = m.Name
		}
		name[m.ID], name[m.IP] = end, end
	}
	return name, true
}

// subnet is that of 24 bits that has an address.
func subnet(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	p, err := a.Prefix(24)
	if err != nil {
		return ""
	}
	return p.String()
}

// words are the same as the picture, the largest first.
func (f *flows) words() (words []string) {
	for _, one := range f.all[:min(len(f.all), 30)] {
		words = append(words, fmt.Sprintf("%s gave %s to %s", one.from, text.Size(one.bytes), one.to))
	}
	return words
}

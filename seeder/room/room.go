// Package room knows the machines of a site as people name them: in go what the site lists, what is in the catalog, and what nodes have
// reported; out come the machines, each with its names and its group, and what words of a command line mean.
package room

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
)

// Listed is a machine that the site's boottorrent.yaml names.
type Listed struct {
	MAC, Name, Hostname, Notes string
	// Address is what DHCP gives it; empty: any.
	Address string
}

// Machine is one that is known: by the site, by its reports, or by its boots before.
type Machine struct {
	// MAC is aa:bb:cc:dd:ee:ff.
	MAC string `json:"mac"`
	// Name is what the site calls it, Hostname its host name; either may be empty.
	Name     string `json:"name,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	// Group is the name of its group; empty: it has none, or it is not known which before the machine has reported.
	Group string `json:"group,omitempty"`
	// Address is what it reported, or what DHCP gives it.
	Address string `json:"address,omitempty"`
	Notes   string `json:"notes,omitempty"`
	// Listed says that the site lists it.
	Listed bool `json:"listed,omitempty"`
	// Next is what it starts the next time, by 'seeder next' or its group; empty: nothing is said.
	Next string `json:"next,omitempty"`
	// Node is what it reported; nil: it has not since the seeder was started.
	Node *report.Node `json:"node,omitempty"`
}

// Called is what to call the machine: the first name it has, or its MAC address.
func (m *Machine) Called() string { return cmp.Or(m.Name, m.Hostname, m.MAC) }

// Room is the machines and groups at one moment.
type Room struct {
	// Machines are sorted by group in the site's order, name and MAC address.
	Machines []Machine
	// Groups are in the site's order.
	Groups []string
}

// Facts are what is known to the rules of a machine that has reported.
func Facts(r *report.Report) rules.Facts {
	addr, _ := netip.ParseAddr(r.IP)
	secure := r.SecureBoot
	return rules.Facts{
		MAC: r.MAC, UUID: r.UUID, Serial: r.Serial, Vendor: r.Vendor, Model: r.Model, Addr: addr, Arch: r.Arch, Firmware: r.Firmware,
		Memory: r.MemoryMiB << 20, SecureBoot: &secure, Complete: true,
	}
}

// New returns the room of a catalog (nil: none is published yet), of what the site lists, of reports, and of machines that are known by
// their MAC addresses alone.
func New(cat *catalog.Catalog, listed []Listed, nodes []report.Node, known []string) *Room {
	byMAC := map[string]*Machine{}
	get := func(mac string) *Machine {
		if byMAC[mac] == nil {
			byMAC[mac] = &Machine{MAC: mac}
		}
		return byMAC[mac]
	}
	for _, l := range listed {
		m := get(l.MAC)
		m.Name, m.Hostname, m.Notes, m.Address, m.Listed = l.Name, l.Hostname, l.Notes, l.Address, true
	}
	for i := range nodes {
		m := get(nodes[i].MAC)
		m.Node, m.Address = &nodes[i], cmp.Or(nodes[i].IP, m.Address)
		m.Hostname = cmp.Or(m.Hostname, nodes[i].Name)
	}
	for _, mac := range known {
		get(mac)
	}
	r := &Room{}
	if cat != nil {
		for _, g := range cat.Rules.Groups {
			r.Groups = append(r.Groups, g.Name)
		}
	}
	for _, m := range byMAC {
		if cat != nil {
			m.decide(cat)
		}
		r.Machines = append(r.Machines, *m)
	}
	r.sort()
	return r
}

// decide finds the machine's group, and what it starts next.
func (m *Machine) decide(cat *catalog.Catalog) {
	facts := rules.Facts{MAC: m.MAC}
	if m.Node != nil {
		facts = Facts(&m.Node.Report)
	}
	d := rules.For(cat, facts)
	m.Group, m.Next = d.Group, d.Next
	m.Hostname = cmp.Or(m.Hostname, d.Hostname)
	if d.Machine != nil {
		m.Name, m.Listed = cmp.Or(m.Name, d.Machine.Name), true
	}
}

func (r *Room) sort() {
	place := map[string]int{"": len(r.Groups)}
	for i, g := range r.Groups {
		place[g] = i
	}
	slices.SortFunc(r.Machines, func(a, b Machine) int {
		return cmp.Or(place[a.Group]-place[b.Group], strings.Compare(a.Called(), b.Called()), strings.Compare(a.MAC, b.MAC))
	})
}

// In returns the machines of a group; of [catalog.GroupAll] all of them.
func (r *Room) In(group string) []Machine {
	if group == catalog.GroupAll {
		return r.Machines
	}
	return slices.DeleteFunc(slices.Clone(r.Machines), func(m Machine) bool { return m.Group != group })
}

// Package rules says which of a site's rules hold for a machine: in go the rules of the signed catalog and what is known of the
// machine, out comes what it does and which rule says so. Nodes, `seeder check --machine` and the boot script's early answer use the same.
package rules

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Facts are what is known of a machine. A node knows all of its own; the seeder knows what firmware told it, or what the machine reported.
type Facts struct {
	// MAC is aa:bb:cc:dd:ee:ff, of the interface in use.
	MAC string
	// UUID, Serial, Vendor and Model are what SMBIOS says; empty: it says nothing.
	UUID, Serial, Vendor, Model string
	// Addr is the machine's IPv4 address; zero: not known, or none.
	Addr netip.Addr
	// Arch is a GOARCH value, Firmware catalog.FirmwareBIOS or catalog.FirmwareUEFI; empty: not known, or (Firmware) neither.
	Arch, Firmware string
	// Memory is how much is installed, in bytes, as the machine is sold: neither MemTotal nor what firmware leaves, which are less, so that
	// ">= 8 GiB" holds for a machine with 8 GiB. 0: not known.
	Memory int64
	// SecureBoot is whether that is on; nil: not known. With FirmwareBIOS it is off.
	SecureBoot *bool
	// Complete says that what is empty here is empty on the machine: a rule that asks for it does not hold. Otherwise it is not known
	// whether it holds.
	Complete bool
}

// Decision is what holds for a machine.
type Decision struct {
	// Machine is the site's entry of the machine; nil: it has none.
	Machine *catalog.Machine
	// Group is the name of its group; empty: none.
	Group string
	// Settings are the group's, with the site's defaults where the group says nothing: Default, Timeout, Menu, Seed, LeaveAtStart and Limits
	// are set. Default is a system that the machine offers, or empty.
	Settings catalog.Settings
	// Hostname is the machine's host name: what the site says of it, what the group's pattern makes, or its name; empty: what DHCP says.
	Hostname string
	// Next is what the machine starts without showing the chooser: a system's name, catalog.StartLocal, or catalog.StartMenu, or empty
	// if nothing says so. NextID is that of the catalog.Next that says so; empty: the group does.
	Next, NextID string
	// Because says for each of these, by the key in boottorrent.yaml ("group", "default", "hostname", …), which rule it comes from, in words.
	Because map[string]string
	// Unknown are the facts, by their keys in match, that decide whether the machine is in the group Perhaps, and that are not known. Then
	// Group is empty, and nothing holds for sure but Machine, and Next where NextID is set.
	Unknown []string
	Perhaps string
}

// Name is what people call the machine: its name in the site, or its host name, or empty.
func (d *Decision) Name() string {
	if d.Machine != nil && d.Machine.Name != "" {
		return d.Machine.Name
	}
	return d.Hostname
}

// For returns what holds for a machine by a catalog.
func For(cat *catalog.Catalog, f Facts) Decision {
	d := Decision{Because: map[string]string{}}
	r := &cat.Rules
	if i, ok := slices.BinarySearchFunc(r.Machines, f.MAC, func(m catalog.Machine, mac string) int { return strings.Compare(m.MAC, mac) }); ok {
		d.Machine = &r.Machines[i]
	}
	group := d.findGroup(r, f)
	d.settle(cat, group)
	d.name(f, group)
	d.next(r, f.MAC)
	return d
}

// settle takes the group's settings, and the site's where it says nothing.
func (d *Decision) settle(cat *catalog.Catalog, g *catalog.Group) {
	from := "the site"
	if g != nil {
		d.Settings, from = g.Settings, "group "+g.Name
	}
	s := &d.Settings
	because := func(key string, said bool) {
		d.Because[key] = "the site"
		if said {
			d.Because[key] = from
		}
	}
	for key, said := range map[string]bool{
		"default": s.Default != nil, "timeout": s.Timeout != nil, "menu": s.Menu != "", "systems": s.Systems != nil, "cmdline": s.Cmdline != "",
		"seed": s.Seed != nil, "limits": s.Limits != nil, "writable": s.Writable != "", "writable_limit": s.WritableLimit != catalog.Share{},
		"after_start": s.LeaveAtStart != nil, "ssh_keys": len(s.SSHKeys) > 0,
	} {
		because(key, said)
	}
	site, leaving := cat.Defaults, cat.Defaults.Leaving()
	s.Default = or(s.Default, site.System)
	s.Timeout = or(s.Timeout, site.Timeout)
	s.Seed = or(s.Seed, leaving)
	s.LeaveAtStart = or(s.LeaveAtStart, site.LeaveAtStart)
	s.Limits = or(s.Limits, cat.Limits)
	s.Menu = cmp.Or(s.Menu, catalog.MenuShown)
	if *s.Default != "" && !s.Offers(*s.Default) {
		d.Because["default"] = fmt.Sprintf("%s, whose systems don't have %s", from, *s.Default)
		s.Default = new(string)
	}
}

// or is what p points to, or another value.
func or[T any](p *T, other T) *T {
	if p == nil {
		return &other
	}
	return p
}

// next finds what somebody said that the machine starts; else it is what its group says. Where the group is not known, what was said for one
// may be for it.
func (d *Decision) next(r *catalog.Rules, mac string) {
	for i := range r.Next {
		n := &r.Next[i]
		perhaps := len(d.Unknown) > 0 && n.Group != ""
		_, done := slices.BinarySearch(n.Done, mac)
		mine := n.MAC == mac || n.Group != "" && (n.Group == d.Group || n.Group == catalog.GroupAll)
		switch {
		case !mine && !perhaps || n.Once && done:
			continue
		case !mine:
			return // it may be for this machine, and would count before what is for all
		}
		d.Next, d.NextID, d.Because["next"] = n.What, n.ID, "seeder next"
		return
	}
	if d.Next = d.Settings.Next; d.Next != "" {
		d.Because["next"] = "group " + d.Group
	}
}

// CheckPassword reports whether a password is the one of a bcrypt hash. No password is that of an empty hash.
func CheckPassword(hash, password string) bool {
	return hash != "" && bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

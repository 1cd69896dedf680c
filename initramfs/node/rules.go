package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
)

// ruleFacts are what the site's rules go by. They are found out once a boot, and handed on to a system's own kernel, which may see
// less of the machine: what holds for a machine must not change half-way.
func (n *Node) ruleFacts() rules.Facts {
	if n.facts != nil {
		return *n.facts
	}
	l := n.link.lease()
	f := rules.Facts{
		MAC: l.MAC.String(), UUID: n.Facts.UUID, Serial: n.Facts.Serial, Vendor: n.Facts.Vendor, Model: n.Facts.Product, Addr: l.Addr.Addr(),
		Arch: n.Facts.Arch, Memory: n.Facts.Installed.Bytes, SecureBoot: &n.Secure.SecureBoot, Complete: true, Firmware: n.Facts.Firmware(),
	}
	if l.Addr.IsValid() {
		n.facts = &f
	}
	return f
}

// apply finds out what the site's rules say of this machine, follows what concerns the node itself, and returns the catalog as it holds
// for this machine: everything else goes by that.
func (n *Node) apply(ctx context.Context, cat *catalog.Catalog) *catalog.Catalog {
	d := rules.For(cat, n.ruleFacts())
	n.session.decision = d
	if !n.ByHand { // of this boot, boot has followed
		n.follow(ctx, cat, d)
	}
	return n.override(n.withLocal(forMachine(cat, d, n.Cmdline.System), d))
}

// follow does what rules say of the node itself.
func (n *Node) follow(ctx context.Context, cat *catalog.Catalog, d rules.Decision) {
	if len(cat.Rules.Groups)+len(cat.Rules.Machines)+len(cat.Rules.Next) > 0 {
		n.Log("rules: this machine is %s", describe(d))
	}
	n.Report.Set(func(r *wire.Report) { r.Group, r.Machine = d.Group, d.Name() })
	if d.Hostname != "" && n.Cmdline.Network.Hostname == "" { // what ip= says is above the rules
		n.link.rename(ctx, d.Hostname)
		n.saveOrSay()
	}
	if err := n.keys.set(d.Settings.SSHKeys); err != nil {
		n.Log("the SSH keys of this machine's group can't log in: %v", err)
	}
	n.lock.set(d.Settings)
}

// forMachine is a catalog with what holds for one machine in place of what holds for all. The system also is offered even if
// the rules don't allow it.
func forMachine(cat *catalog.Catalog, d rules.Decision, also string) *catalog.Catalog {
	c, s := *cat, d.Settings
	c.Defaults.System, c.Defaults.Timeout = *s.Default, *s.Timeout
	c.Defaults.SeedTime, c.Defaults.Seed = s.Seed.Limit, *s.Seed
	if s.LeaveAtStart != nil {
		c.Defaults.LeaveAtStart = *s.LeaveAtStart
	}
	c.Limits = *s.Limits
	c.Systems = make([]catalog.System, 0, len(cat.Systems))
	for _, sys := range cat.Systems {
		if s.Offers(sys.Name) || sys.Name == also {
			sys.Launch = launchFor(sys.Launch, s)
			c.Systems = append(c.Systems, sys)
		}
	}
	return &c
}

// launchFor is how a system is started on a machine of which the rules say s.
func launchFor(l catalog.Launch, s catalog.Settings) catalog.Launch {
	if l.Kexec != nil {
		k := *l.Kexec
		k.Cmdline = config.Add(k.Cmdline, s.Cmdline)
		l.Kexec = &k
	}
	if l.Root == nil {
		return l
	}
	r := *l.Root
	r.Cmdline = config.Add(r.Cmdline, s.Cmdline)
	if s.Writable != "" {
		r.Writable = s.Writable
	}
	if s.WritableLimit != (catalog.Share{}) {
		r.WritableLimit = s.WritableLimit
	}
	l.Root = &r
	return l
}

// describe says in a line what was decided for a machine, for its log.
func describe(d rules.Decision) string {
	name := d.Name()
	if name == "" {
		name = "none that the site names"
	}
	group := "in no group"
	if d.Group != "" {
		group = fmt.Sprintf("in the group %s (%s)", d.Group, d.Because["group"])
	}
	return name + ", " + group + "; " + reasons(d)
}

// reasons says which rule decides what, but for what the site says for all.
func reasons(d rules.Decision) string {
	by := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(d.Because)) {
		if from := d.Because[key]; key != "group" && from != "the site" {
			by[from] = append(by[from], key)
		}
	}
	var parts []string
	for _, from := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, from+" says "+strings.Join(by[from], ", "))
	}
	if len(parts) == 0 {
		return "the site's settings hold"
	}
	return strings.Join(parts, "; ")
}

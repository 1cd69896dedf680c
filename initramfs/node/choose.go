package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
)

// Choose shows the chooser, unless there is nothing to ask: somebody said what this machine starts next, or there is a default that is to
// start at once and can.
func (n *Node) Choose(ctx context.Context, cat *catalog.Catalog, wait bool) (decision.Decision, error) {
	items, d, rule := n.items(cat), cat.Defaults, n.session.decision
	n.offered.Store(&items)
	n.mayHelp(nil)
	n.following = ""
	next, notice := n.next(items, wait)
	switch {
	case next == catalog.StartMenu:
		wait = true
		n.followed()
	case next != "":
		n.Log("starting %s, as %s says", next, rule.Because["next"])
		return n.decided(decision.Decision{Action: decision.Start, System: next}), nil
	case d.Timeout == 0 && !wait && startable(items, d.System):
		if n.handed != nil {
			n.Log("starting %s, as it was chosen", d.System)
		} else {
			n.Log("starting %s at once, as %s says", d.System, cmp.Or(rule.Because["timeout"], "the site"))
		}
		return n.decided(decision.Decision{Action: decision.Start, System: d.System}), nil
	}
	config := menu.ChooserConfig{Place: n.place(), Items: items, Default: d.System, Timeout: d.Timeout, Notices: n.notices(cat)}
	config.Hidden = rule.Settings.Menu == catalog.MenuHidden
	if wait {
		config.Timeout = -1
	}
	if notice != "" {
		config.Notices = append(config.Notices, notice)
	}
	defer n.fetchAhead(ctx, cat)()
	return n.choose(ctx, config)
}

// choose shows the chooser.
func (n *Node) choose(ctx context.Context, config menu.ChooserConfig) (decision.Decision, error) {
	guarded, over := context.WithCancel(ctx)
	defer over()
	events := make(chan tea.Msg)
	config.Lock = n.lock.guard(guarded, events)
	chosen, err := ask(ctx, n, menu.NewChooser(config), events)
	if err != nil {
		return decision.Decision{}, fmt.Errorf("the chooser: %w", err)
	}
	return n.decided(chosen), nil
}

// startable reports whether a system is offered that this machine can start.
func startable(items []menu.Item, name string) bool {
	return slices.ContainsFunc(items, func(i menu.Item) bool { return i.Name == name && i.Unavailable == "" })
}

// next is what somebody said that this machine starts next: a system that it can start, catalog.StartMenu, or empty, with a notice if it is
// said, but can't be. What the kernel command line and boottorrent.conf say is above that; and it is for once a boot: when somebody has come
// back to the chooser, it is over.
func (n *Node) next(items []menu.Item, wait bool) (next, notice string) {
	d := n.session.decision
	if d.Next == "" || wait {
		return "", ""
	}
	if name := n.Cmdline.System; name != "" && startable(items, name) {
		return "", ""
	}
	if d.Next == catalog.StartMenu || startable(items, d.Next) {
		n.following = d.NextID
		return d.Next, ""
	}
	why := "this machine is not offered it"
	if i := slices.IndexFunc(items, func(i menu.Item) bool { return i.Name == d.Next }); i >= 0 {
		why = items[i].Unavailable
	}
	return "", fmt.Sprintf("%s says that this machine starts %s next, which it can't: %s", d.Because["next"], d.Next, why)
}

// followed tells the seeder that the node does what somebody said that it does next.
func (n *Node) followed() {
	if id := n.following; id != "" {
		n.Report.Set(func(r *wire.Report) { r.Next = id })
	}
}

// decided is where every choice passes, a person's or not: what comes of it is up to the order of the steps (package boot).
func (n *Node) decided(d decision.Decision) decision.Decision {
	n.Report.Set(func(r *wire.Report) { r.System = d.System })
	return d
}

// ask shows a screen, remembers the console whose key ended it, and returns its answer.
func ask[T any](ctx context.Context, n *Node, screen console.Asker[T], events <-chan tea.Msg) (T, error) {
	answer, where, err := console.Ask(ctx, n.Consoles, screen, events)
	if err == nil {
		n.typedAt(where)
	}
	return answer, err
}

// typedAt remembers the console whose key ended a screen, if it was a key.
func (n *Node) typedAt(console string) {
	if console != "" {
		n.console = console
	}
}

// items are the systems as the chooser lists them. What this machine can't start is listed with the reason.
func (n *Node) items(cat *catalog.Catalog) []menu.Item {
	items := make([]menu.Item, 0, len(cat.Systems))
	for _, s := range cat.Systems {
		item := menu.Item{Name: s.Name, Title: s.Title, Description: s.Description, Size: s.ToFetch(), Hidden: s.Hidden}
		if _, err := launch.For(s, cat); err != nil {
			item.Unavailable = err.Error()
		} else if s.Launch.Method == catalog.MethodLocal && n.nothingLocal != nil {
			item.Unavailable = n.nothingLocal.Error()
		} else if s.Arch != n.Facts.Arch {
			item.Unavailable = fmt.Sprintf("it is for %s machines, this one is %s", s.Arch, n.Facts.Arch)
		} else if _, err := n.otherKernel(s); err != nil {
			item.Unavailable = err.Error()
		} else if refusal := n.refuses(s); refusal != nil {
			item.Unavailable, item.Remedy = refusal.Why, refusal.Do
		}
		items = append(items, item)
	}
	return items
}

// notices are what the kernel command line and boottorrent.conf say and was not followed in.
func (n *Node) notices(cat *catalog.Catalog) []string {
	notices := slices.Clone(n.Warnings)
	if name := n.Cmdline.System; name != "" {
		if _, ok := cat.System(name); !ok {
			notices = append(notices, n.missing())
		}
	}
	return notices
}

// place is where we are: the head of every screen, and what its key "i" shows.
func (n *Node) place() menu.Place {
	l := n.link.lease()
	m := menu.Machine{
		MAC: l.MAC.String(), Interface: l.Interface, UUID: n.Facts.UUID, MemoryMiB: n.Facts.Installed.Bytes >> 20, MemoryFrom: n.Facts.Installed.From,
		Arch: n.Facts.Arch, Product: n.Facts.Name(), Serial: n.Facts.Serial}
	if d := n.session.decision; n.session.catalog != nil && len(d.Because) > 0 {
		m.Name, m.Rules = d.Name(), reasons(d)
		if d.Group != "" {
			m.Group = fmt.Sprintf("%s (%s)", d.Group, d.Because["group"])
		}
	}
	if n.Facts.EFI {
		m.SecureBoot = n.Secure.String()
	}
	if l.Addr.IsValid() {
		m.IP = l.Addr.String()
	}
	for _, nic := range hardware.NICs() {
		if nic.MAC == m.MAC { // the interface may be a VLAN's
			m.Driver = nic.Driver
		}
	}
	m.Seeder = n.session.Base()
	return menu.Place{Site: n.Image.Site, Machine: m}
}

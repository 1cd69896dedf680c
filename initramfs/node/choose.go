package node

import (
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

// Choose shows the chooser, unless there is nothing to ask: a default that is to start at once and can.
func (n *Node) Choose(ctx context.Context, cat *catalog.Catalog, wait bool) (decision.Decision, error) {
	items, d := n.items(cat), cat.Defaults
	n.offered.Store(&items)
	startable := func(i menu.Item) bool { return i.Name == d.System && i.Unavailable == "" }
	if d.Timeout == 0 && !wait && slices.ContainsFunc(items, startable) {
		if n.handed != nil {
			n.Log("starting %s, as it was chosen", d.System)
		} else {
			n.Log("starting %s at once, as the site says", d.System)
		}
		n.chosen(d.System)
		return decision.Decision{Action: decision.Start, System: d.System}, nil
	}
	timeout := d.Timeout
	if wait {
		timeout = -1
	}
	m := menu.NewChooser(menu.ChooserConfig{
		Place: n.place(), Items: items, Default: d.System, Timeout: timeout, Notices: n.notices(cat),
	})
	defer n.fetchAhead(ctx, cat)()
	chosen, err := ask(ctx, n, m, nil)
	if err != nil {
		return decision.Decision{}, fmt.Errorf("the chooser: %w", err)
	}
	n.chosen(chosen.System)
	return chosen, nil
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

func (n *Node) chosen(system string) {
	n.Report.Set(func(r *wire.Report) { r.System = system })
}

// items are the systems as the chooser lists them. What this machine can't start is listed with the reason.
func (n *Node) items(cat *catalog.Catalog) []menu.Item {
	items := make([]menu.Item, 0, len(cat.Systems))
	for _, s := range cat.Systems {
		item := menu.Item{Name: s.Name, Title: s.Title, Description: s.Description, Size: s.ToFetch(), Hidden: s.Hidden}
		if _, err := launch.For(s, cat); err != nil {
			item.Unavailable = err.Error()
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
		MAC: l.MAC.String(), Interface: l.Interface, UUID: n.Facts.UUID, MemoryMiB: n.Facts.MemoryMiB,
		Arch: n.Facts.Arch, Product: n.Facts.Name()}
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
	if c := n.session.client(); c != nil {
		m.Seeder = c.Base
	}
	return menu.Place{Site: n.Image.Site, Machine: m}
}

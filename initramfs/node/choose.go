package node

import (
	"context"
	"fmt"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
)

// Choose shows the chooser, unless there is nothing to ask: a default that is to start at once.
func (n *Node) Choose(ctx context.Context, cat *catalog.Catalog, wait bool) (boot.Choice, error) {
	d := cat.Defaults
	if d.Timeout == 0 && d.System != "" && !wait {
		n.Log("starting %s at once, as the site says", d.System)
		n.chosen(d.System)
		return boot.Choice{System: d.System}, nil
	}
	timeout := d.Timeout
	if wait || d.System == "" {
		timeout = -1
	}
	m := menu.NewChooser(menu.ChooserConfig{
		Place: n.place(), Items: n.items(cat), Default: d.System, Timeout: timeout,
	})
	final, where, err := n.Consoles.Run(ctx, m, nil)
	if err != nil {
		return boot.Choice{}, fmt.Errorf("the chooser: %w", err)
	}
	n.console = where
	c := final.(menu.Chooser).Choice()
	n.chosen(c.System)
	return boot.Choice{Action: action(c.Action), System: c.System}, nil
}

func (n *Node) chosen(system string) {
	n.Report.Set(func(r *wire.Report) { r.System = system })
}

// items are the systems as the chooser lists them. What this machine can't start is listed with the reason.
func (n *Node) items(cat *catalog.Catalog) []menu.Item {
	items := make([]menu.Item, 0, len(cat.Systems))
	for _, s := range cat.Systems {
		item := menu.Item{Name: s.Name, Title: s.Title, Description: s.Description, Size: s.Size, Hidden: s.Hidden}
		if _, err := launch.For(s); err != nil {
			item.Unavailable = err.Error()
		} else if s.Arch != n.facts.Arch {
			item.Unavailable = fmt.Sprintf("is for %s machines, this one is %s", s.Arch, n.facts.Arch)
		}
		items = append(items, item)
	}
	return items
}

// place is where we are: the head of every screen, and what its key "i" shows.
func (n *Node) place() menu.Place {
	m := menu.Machine{
		MAC: n.lease.MAC.String(), Interface: n.lease.Interface, UUID: n.facts.UUID, MemoryMiB: n.facts.MemoryMiB,
		Arch: n.facts.Arch, Product: joinNonEmpty(n.facts.Vendor, n.facts.Product),
	}
	if n.lease.Addr.IsValid() {
		m.IP = n.lease.Addr.String()
	}
	for _, nic := range hardware.NICs() {
		if nic.Name == n.lease.Interface {
			m.Driver = nic.Driver
		}
	}
	if c := n.client(); c != nil {
		m.Seeder = c.Base
	}
	return menu.Place{Site: n.Image.Site, Machine: m}
}

func joinNonEmpty(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}

// action is a screen's action in the words of package boot.
func action(a menu.Action) boot.Action {
	switch a {
	case menu.Shell:
		return boot.Shell
	case menu.Reboot:
		return boot.Reboot
	case menu.PowerOff:
		return boot.PowerOff
	case menu.Retry:
		return boot.Retry
	case menu.Other:
		return boot.Choose
	}
	return boot.Start
}

package main

import (
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func showAddresses(out io.Writer) error {
	return eachLink(out, func(l netlink.Link) error {
		addresses, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return fmt.Errorf("list the addresses of %s: %w", l.Attrs().Name, err)
		}
		for _, a := range addresses {
			family := "inet6"
			if a.IP.To4() != nil {
				family = "inet"
			}
			fmt.Fprintf(out, "    %s %s", family, a.IPNet)
			if a.Broadcast != nil {
				fmt.Fprintf(out, " brd %s", a.Broadcast)
			}
			fmt.Fprintf(out, " scope %s\n", scope(a.Scope))
		}
		return nil
	})
}

func showLinks(out io.Writer) error { return eachLink(out, func(netlink.Link) error { return nil }) }

// eachLink prints each link and what more prints below it.
func eachLink(out io.Writer, more func(netlink.Link) error) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the links: %w", err)
	}
	for _, l := range links {
		a := l.Attrs()
		name := a.Name
		if a.ParentIndex != 0 {
			if parent, err := netlink.LinkByIndex(a.ParentIndex); err == nil {
				name += "@" + parent.Attrs().Name
			}
		}
		fmt.Fprintf(out, "%d: %s: <%s> mtu %d state %s\n    link/%s %s\n", a.Index, name,
			strings.ToUpper(strings.ReplaceAll(a.Flags.String(), "|", ",")), a.MTU, strings.ToUpper(a.OperState.String()), a.EncapType, a.HardwareAddr)
		if err := more(l); err != nil {
			return err
		}
	}
	return nil
}

func showRoutes(out io.Writer) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteList(nil, family)
		if err != nil {
			return fmt.Errorf("list the routes: %w", err)
		}
		for _, r := range routes {
			fmt.Fprint(out, destination(r.Dst))
			if r.Gw != nil {
				fmt.Fprintf(out, " via %s", r.Gw)
			}
			fmt.Fprintf(out, " dev %s", linkName(r.LinkIndex))
			if r.Src != nil {
				fmt.Fprintf(out, " src %s", r.Src)
			}
			if r.Priority != 0 {
				fmt.Fprintf(out, " metric %d", r.Priority)
			}
			fmt.Fprintln(out)
		}
	}
	return nil
}

func showNeighbours(out io.Writer) error {
	neighbours, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list the neighbours: %w", err)
	}
	for _, n := range neighbours {
		if n.State == unix.NUD_NOARP { // broadcast and multicast
			continue
		}
		fmt.Fprintf(out, "%s dev %s lladdr %s %s\n", n.IP, linkName(n.LinkIndex), n.HardwareAddr, neighbourState(n.State))
	}
	return nil
}

func destination(n *net.IPNet) string {
	if n == nil {
		return "default"
	}
	if ones, _ := n.Mask.Size(); ones == 0 && n.IP.IsUnspecified() {
		return "default"
	}
	return n.String()
}

func linkName(index int) string {
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		return fmt.Sprint(index)
	}
	return l.Attrs().Name
}

// scope is a scope's name in rtnetlink(7).
func scope(s int) string {
	switch s {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	}
	return fmt.Sprint(s)
}

// neighbourState is a state's name in rtnetlink(7).
func neighbourState(s int) string {
	switch s {
	case unix.NUD_REACHABLE:
		return "REACHABLE"
	case unix.NUD_STALE:
		return "STALE"
	case unix.NUD_DELAY:
		return "DELAY"
	case unix.NUD_PROBE:
		return "PROBE"
	case unix.NUD_FAILED:
		return "FAILED"
	case unix.NUD_INCOMPLETE:
		return "INCOMPLETE"
	case unix.NUD_PERMANENT:
		return "PERMANENT"
	}
	return fmt.Sprint(s)
}

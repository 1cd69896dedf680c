package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/boottorrent/boottorrent/internal/site"
)

// Interface is one this seeder serves on, with its address there.
type Interface struct {
	Name  string
	Index int
	Addr  netip.Prefix
}

// interfaces finds where to serve: the interfaces, the address, or the interface with the address that the site names, else the
// interface with the default route, else the only one there is. Loopback is served on only if it is named. Of several that are named
// those that are there are enough; missing says which are not.
func interfaces(serve site.Serve) (on []Interface, missing, err error) {
	all, err := addressed()
	if err != nil {
		return nil, nil, err
	}
	if serve.Address.IsValid() {
		for _, i := range all {
			if i.Addr.Addr() == serve.Address && (len(serve.Interfaces) == 0 || slices.Contains(serve.Interfaces, i.Name)) {
				return []Interface{i}, nil, nil
			}
		}
		if len(serve.Interfaces) > 0 {
			return nil, nil, fmt.Errorf("serve: %s is not there, is down, or has not the address %s; this machine has %s",
				strings.Join(serve.Interfaces, ", "), serve.Address, list(all))
		}
		return nil, nil, fmt.Errorf("serve.address: no interface of this machine has the address %s; it has %s", serve.Address, list(all))
	}
	// Of an interface with several addresses, the first.
	all = slices.CompactFunc(all, func(a, b Interface) bool { return a.Index == b.Index })
	if len(serve.Interfaces) > 0 {
		return named(all, serve.Interfaces)
	}
	all = slices.DeleteFunc(all, func(i Interface) bool { return i.Addr.Addr().IsLoopback() })
	if index, ok := defaultRoute(); ok {
		for _, i := range all {
			if i.Index == index {
				return []Interface{i}, nil, nil
			}
		}
	}
	if len(all) == 1 {
		return all, nil, nil
	}
	return nil, nil, fmt.Errorf("there is no default route to tell which interface to serve on; "+
		"name one under serve.interfaces in the configuration: this machine has %s", list(all))
}

// addressed lists the interfaces that are up, once for each IPv4 address; those of an interface stand together.
func addressed() ([]Interface, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var all []Interface
	for _, link := range links {
		if link.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := link.Addrs()
		if err != nil {
			return nil, fmt.Errorf("addresses of %s: %w", link.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				all = append(all, Interface{Name: link.Name, Index: link.Index, Addr: p})
			}
		}
	}
	return all, nil
}

func named(all []Interface, names []string) (found []Interface, missing, err error) {
	var absent []string
	for _, name := range names {
		n := len(found)
		for _, i := range all {
			if i.Name == name {
				found = append(found, i)
			}
		}
		if len(found) == n {
			absent = append(absent, name)
		}
	}
	if len(absent) > 0 {
		missing = fmt.Errorf("serve.interfaces: %s is not there, is down, or has no IPv4 address; this machine has %s", strings.Join(absent, ", "), list(all))
	}
	if len(found) == 0 {
		return nil, nil, missing
	}
	return found, missing, nil
}

// defaultRoute returns the index of the interface that the default IPv4 route leads through.
func defaultRoute() (index int, ok bool) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, false
	}
	for _, r := range routes {
		if r.Dst == nil || r.Dst.IP.IsUnspecified() {
			return r.LinkIndex, true
		}
	}
	return 0, false
}

func list(all []Interface) string {
	if len(all) == 0 {
		return "none that is up with an IPv4 address"
	}
	var s []string
	for _, i := range all {
		s = append(s, fmt.Sprintf("%s (%s)", i.Name, i.Addr))
	}
	return strings.Join(s, ", ")
}

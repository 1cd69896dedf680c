package dhcp

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/boottorrent/boottorrent/internal/site"
)

// Finding is something in the configuration that does not fit this machine's interfaces.
type Finding struct {
	// Text says what is wrong, Do what to do about it.
	Text, Do string
	// Fatal: the service can't run so.
	Fatal bool
}

func (f Finding) String() string { return f.Text + "; " + f.Do }

// Check compares the configuration with the interfaces that are served: ranges outside of every network, addresses in a range
// that are not handed out, interfaces without a range. It is part of the seeder's self-test; [New] refuses what is fatal.
func Check(cfg site.DHCP, on []Interface) []Finding {
	var found []Finding
	fatal := func(text, do string) { found = append(found, Finding{text, do, true}) }
	warn := func(text, do string) { found = append(found, Finding{text, do, false}) }
	if cfg.Mode != site.DHCPOff && len(on) == 0 {
		fatal("DHCP has no interface to serve on", "name one in boottorrent.yaml (serve: interfaces)")
	}
	for _, i := range on {
		if cfg.Mode != site.DHCPOff && !i.Addr.Addr().Is4() {
			fatal(fmt.Sprintf("interface %s has no IPv4 address (%s)", i.Name, i.Addr), "give it one")
		}
	}
	if cfg.Mode != site.DHCPServer || len(found) > 0 {
		return found
	}
	all := cfg.Split()
	for _, r := range all {
		span := fmt.Sprintf("the range %s to %s", r.First, r.Last)
		if len(homes(r, on)) == 0 {
			fatal(span+" is in the network of no interface that is served ("+networks(on)+")",
				"change dhcp: range in boottorrent.yaml, or the interface's address")
			continue
		}
		for _, i := range on {
			if a := i.Addr.Addr(); inRange(r, a) {
				warn(fmt.Sprintf("%s has this machine's own address %s in it, which is not handed out", span, a), "leave it out of the range")
			}
		}
		if home := homes(r, on)[0]; r.Router.IsValid() && !networkOf(r, home).Contains(r.Router) {
			warn(fmt.Sprintf("the router %s is not in the network %s of %s, so machines can't reach it", r.Router, networkOf(r, home).Masked(), span),
				"correct dhcp: router in boottorrent.yaml")
		}
	}
	for _, r := range cfg.Reservations {
		if !anyNetworkHas(all, on, r.Address) {
			fatal(fmt.Sprintf("the address %s reserved for %s is in the network of no range", r.Address, r.MAC), "reserve another one")
		}
	}
	for _, i := range on {
		if !hasHome(all, i) {
			warn(fmt.Sprintf("interface %s (%s) has no range of its own: machines there get an address only from another DHCP server", i.Name, i.Addr.Masked()),
				"add a range of that network to dhcp: range in boottorrent.yaml, or don't serve on that interface")
		}
	}
	return found
}

// homes are the interfaces in whose networks a range lies.
func homes(r site.DHCP, on []Interface) []Interface {
	var in []Interface
	for _, i := range on {
		if i.Addr.Addr().Is4() && i.Addr.Contains(r.First) && i.Addr.Contains(r.Last) {
			in = append(in, i)
		}
	}
	return in
}

// networkOf is the network that machines on an interface are told they are in.
func networkOf(r site.DHCP, i Interface) netip.Prefix {
	if r.Netmask > 0 {
		return netip.PrefixFrom(i.Addr.Addr(), r.Netmask)
	}
	return i.Addr
}

func inRange(r site.DHCP, a netip.Addr) bool { return !a.Less(r.First) && !r.Last.Less(a) }

func hasHome(all []site.DHCP, i Interface) bool {
	for _, r := range all {
		if len(homes(r, []Interface{i})) > 0 {
			return true
		}
	}
	return false
}

func anyNetworkHas(all []site.DHCP, on []Interface, a netip.Addr) bool {
	for _, r := range all {
		for _, i := range homes(r, on) {
			if networkOf(r, i).Contains(a) {
				return true
			}
		}
	}
	return false
}

// networks lists the interfaces with their networks, for a message.
func networks(on []Interface) string {
	var text []string
	for _, i := range on {
		text = append(text, i.Name+" "+i.Addr.Masked().String())
	}
	return strings.Join(text, ", ")
}

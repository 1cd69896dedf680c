package network

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/hardware"
)

// host is what a lease changes beside the interface; tests leave the machine they run on as it is.
type host struct {
	resolvConf  string
	setHostname func(string) error
	probe       func(module string) error
}

func thisHost() host {
	return host{
		resolvConf:  "/etc/resolv.conf",
		setHostname: func(name string) error { return unix.Sethostname([]byte(name)) },
		probe:       hardware.Probe,
	}
}

// configure gives the lease's interface its address, routes and MTU, and the machine its resolver and name. Addresses
// from before are taken away. Only what keeps the node from talking is an error; the rest is a message.
func (h host) configure(l Lease, ev func(string)) error {
	link, err := netlink.LinkByName(l.Interface)
	if err != nil {
		return fmt.Errorf("configure %s: %w", l.Interface, err)
	}
	for _, note := range l.notes {
		ev(l.Interface + ": " + note)
	}
	if err := setMTU(&netlink.Handle{}, link, cmp.Or(l.fixedMTU, l.MTU)); err != nil {
		ev(fmt.Sprintf("%s: %v; the MTU stays %d", l.Interface, err, link.Attrs().MTU))
	}
	if err := setAddress(link, l.Addr); err != nil {
		return err
	}
	for _, err := range setRoutes(link, l) {
		ev(fmt.Sprintf("%s: %v; the boot goes on without", l.Interface, err))
	}
	if err := h.writeResolvConf(l); err != nil {
		ev(fmt.Sprintf("%s: names can't be resolved: %v", l.Interface, err))
	}
	if l.Hostname != "" {
		if err := h.setHostname(l.Hostname); err != nil {
			ev(fmt.Sprintf("%s: the host name %q is not set: %v", l.Interface, l.Hostname, err))
		}
	}
	return nil
}

// mtuSetter is the part of *netlink.Handle that sets MTUs.
type mtuSetter interface {
	LinkByIndex(index int) (netlink.Link, error)
	LinkSetMTU(link netlink.Link, mtu int) error
}

// setMTU sets an interface's MTU, 0 for none. A VLAN's can't be larger than that of the card below it, so the card comes first.
func setMTU(kernel mtuSetter, link netlink.Link, mtu int) error {
	if mtu == 0 || mtu == link.Attrs().MTU {
		return nil
	}
	if vlan, ok := link.(*netlink.Vlan); ok {
		card, err := kernel.LinkByIndex(vlan.ParentIndex)
		if err != nil {
			return fmt.Errorf("the MTU %d is not set: find the card below: %w", mtu, err)
		}
		if card.Attrs().MTU < mtu {
			if err := kernel.LinkSetMTU(card, mtu); err != nil {
				return fmt.Errorf("%s, the card below, doesn't take the MTU %d: %w", card.Attrs().Name, mtu, err)
			}
		}
	}
	if err := kernel.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("the MTU %d is not possible: %w", mtu, err)
	}
	return nil
}

// setAddress makes addr the link's only IPv4 address.
func setAddress(link netlink.Link, addr netip.Prefix) error {
	name := link.Attrs().Name
	if err := clearAddresses(link, addr); err != nil {
		return err
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(addr)}); err != nil {
		return fmt.Errorf("give %s the address %s: %w", name, addr, err)
	}
	return nil
}

// clearAddresses takes all IPv4 addresses but keep away.
func clearAddresses(link netlink.Link, keep netip.Prefix) error {
	old, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", link.Attrs().Name, err)
	}
	for _, a := range old {
		if keep.IsValid() && a.IPNet.String() == keep.String() {
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("take the address %s from %s: %w", a.IPNet, link.Attrs().Name, err)
		}
	}
	return nil
}

// setRoutes sets the default route and the lease's others. A router outside the interface's network, as clouds have
// them, is reached on the link itself. Each error is that of one route: with a seeder in the same network none is needed.
func setRoutes(link netlink.Link, l Lease) (errs []error) {
	routes := l.Routes
	if l.Gateway.IsValid() {
		routes = append(routes[:len(routes):len(routes)], Route{netip.PrefixFrom(netip.IPv4Unspecified(), 0), l.Gateway})
	}
	for _, r := range routes {
		route := netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(r.Dest), Protocol: unix.RTPROT_DHCP}
		if r.Via.IsValid() {
			route.Gw = r.Via.AsSlice()
			if !l.Addr.Contains(r.Via) {
				route.Flags = int(netlink.FLAG_ONLINK)
			}
		} else {
			route.Scope = netlink.SCOPE_LINK
		}
		if err := netlink.RouteReplace(&route); err != nil {
			errs = append(errs, fmt.Errorf("the route to %s by %s is not possible: %w", r.Dest, r.Via, err))
		}
	}
	return errs
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// writeResolvConf writes resolv.conf(5); a lease without name servers leaves it alone.
func (h host) writeResolvConf(l Lease) error {
	if len(l.DNS) == 0 {
		return nil
	}
	var b strings.Builder
	if l.Domain != "" {
		fmt.Fprintf(&b, "search %s\n", l.Domain)
	}
	for _, a := range l.DNS {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	if err := os.MkdirAll(filepath.Dir(h.resolvConf), 0o755); err != nil {
		return err
	}
	return os.WriteFile(h.resolvConf, []byte(b.String()), 0o644)
}

// addVLAN makes the interface for a VLAN on a NIC, or finds it, and brings it up. It returns its name.
func (h host) addVLAN(parent netlink.Link, id int) (string, error) {
	name := vlanName(parent.Attrs().Name, id)
	add := func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = name, parent.Attrs().Index
		return netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: id, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q})
	}
	err := add()
	if errors.Is(err, unix.EOPNOTSUPP) {
		// "Unknown device type": the module is not loaded yet.
		if probeErr := h.probe("8021q"); probeErr != nil {
			return "", fmt.Errorf("make VLAN %d on %s: %w", id, parent.Attrs().Name, probeErr)
		}
		err = add()
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return "", fmt.Errorf("make VLAN %d on %s: %w", id, parent.Attrs().Name, err)
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return "", fmt.Errorf("make VLAN %d on %s: %w", id, parent.Attrs().Name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return "", fmt.Errorf("bring up %s: %w", name, err)
	}
	return name, nil
}

// vlanName is NIC.ID, or vlanID-NIC's end where that is longer than the kernel's 15 characters (IFNAMSIZ).
func vlanName(parent string, id int) string {
	name := fmt.Sprintf("%s.%d", parent, id)
	if tooLong := len(name) - (unix.IFNAMSIZ - 1); tooLong > 0 {
		return name[tooLong:]
	}
	return name
}

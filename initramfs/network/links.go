package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/config"
)

// Down takes every NIC down, so that its hardware stops, and leaves it as it is after power-on: without addresses, and without
// interfaces of VLANs on it. Whoever comes next, another kernel or a system's network manager, begins anew. No lease is
// released: the machine goes on with it.
func Down() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("take the network down: list the interfaces: %w", err)
	}
	var errs []error
	for _, l := range links {
		if err := undo(l); err != nil {
			errs = append(errs, fmt.Errorf("take %s down: %w", l.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
}

// undo takes a NIC down, and a VLAN's interface away.
func undo(l netlink.Link) error {
	switch {
	case l.Type() == "vlan":
		return netlink.LinkDel(l)
	case isNIC(l):
		return errors.Join(clearAddresses(l, netip.Prefix{}), netlink.LinkSetDown(l))
	}
	return nil
}

// isNIC says whether a link is one to ask for an address: Ethernet with hardware behind it. A veth, the cable of a
// container or a test, counts as well; loopback, VLANs and bridges don't.
func isNIC(l netlink.Link) bool {
	a := l.Attrs()
	return (l.Type() == "device" || l.Type() == "veth") && a.EncapType == "ether" && len(a.HardwareAddr) == 6
}

// Others says whether there is another NIC than the lease's to try.
func Others(l Lease, cfg config.Network) bool {
	links, err := netlink.LinkList()
	if err != nil {
		return false
	}
	u := upper{cfg: cfg}
	return slices.ContainsFunc(links, func(link netlink.Link) bool {
		a := link.Attrs()
		return isNIC(link) && u.wanted(a) && a.HardwareAddr.String() != l.MAC.String()
	})
}

// Alive says whether a lease's interface still has link and its address.
func Alive(l Lease) bool {
	link, err := netlink.LinkByName(l.Interface)
	if err != nil || link.Attrs().RawFlags&unix.IFF_LOWER_UP == 0 {
		return false
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if a.IPNet.String() == l.Addr.String() {
			return true
		}
	}
	return false
}

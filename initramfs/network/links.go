package network

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/config"
)

// Down takes every NIC down, so that its hardware stops. Addresses and routes go with it.
func Down() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("take the network down: list the interfaces: %w", err)
	}
	var errs []error
	for _, l := range links {
		if !isNIC(l) {
			continue
		}
		if err := netlink.LinkSetDown(l); err != nil {
			errs = append(errs, fmt.Errorf("take %s down: %w", l.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
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

// Package config reads what a node was started with: the kernel's command line, and the site's part of the image.
package config

import "net/netip"

// Cmdline is the part of the kernel command line that concerns phase 1.
type Cmdline struct {
	// Seeder is bt.seeder=URL. ConfSeeder is what boottorrent.conf on the medium says.
	Seeder, ConfSeeder string
	// System is bt.system=NAME: the default system, instead of the catalog's. Timeout is bt.timeout=SECONDS, instead of
	// the catalog's; nil if absent. ConfSystem says that System is what boottorrent.conf says.
	System     string
	ConfSystem bool
	Timeout    *int
	// Shell is bt.shell: start a shell before the boot. Debug is bt.debug: log more.
	Shell, Debug bool
	// LocalFailed is bt.local=failed: the firmware has tried to start the machine's own disk, and could not.
	LocalFailed bool
	// Consoles are the values of console=, such as ttyS0,115200, in their order.
	Consoles []string
	// Medium is bt.medium=XXXXXXXX: the serial number of the FAT file system of the stick or disc that phase 1 was started
	// from; 0 if it came by network. Again says that phase 1 has started itself again with what boottorrent.conf there adds
	// to the kernel command line.
	Medium uint32
	Again  bool
	// Seen is bt.seen=COUNTER: the highest counter of a catalog that this node took under the kernel before.
	Seen    uint64
	Network Network
}

// Network is the part of the command line that configures the network.
type Network struct {
	// Static is ip=ADDRESS::GATEWAY:NETMASK:HOSTNAME:INTERFACE:none[:DNS0[:DNS1]] (the kernel's nfsroot.rst form) or
	// ip=ADDRESS/PREFIX; zero when ip= is absent or asks for DHCP, which DHCP tells apart.
	Static   netip.Prefix
	DHCP     bool
	Gateway  netip.Addr
	DNS      []netip.Addr
	Hostname string
	// Server is ip='s second field, the boot server; zero if not given.
	Server netip.Addr
	// MTU is in bytes, from dracut's ip=…:MTU; 0 leaves it to DHCP.
	MTU int
	// Interface restricts to one interface (the one in ip=, or bt.interface=NAME or =MAC); MAC, from BOOTIF=01-aa-bb-…,
	// only says which to prefer.
	Interface string
	MAC       string
	// VLAN is vlan=ID or vlan=NAME.ID:NAME or bt.vlan=ID; 0 for none.
	VLAN int
}

// Continue returns c, the command line of a system's own kernel, as that of a node that goes on under that kernel: what concerns the
// network and the medium is as it was before, when the node had the address mac.
func (c Cmdline) Continue(before Cmdline, mac string) Cmdline {
	c.Network, c.Medium, c.Again, c.ConfSeeder = before.Network, before.Medium, before.Again, before.ConfSeeder
	c.Network.MAC, c.Seen = mac, max(c.Seen, before.Seen)
	if c.Network.Interface != "" {
		c.Network.Interface = mac // another kernel may call it otherwise
	}
	return c
}

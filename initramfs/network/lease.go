package network

import (
	"net"
	"net/netip"
	"time"
)

// Lease is a configured interface: what the node is on the network.
type Lease struct {
	Interface string
	MAC       net.HardwareAddr
	// Addr is the node's address with its prefix length.
	Addr     netip.Prefix
	Gateway  netip.Addr
	DNS      []netip.Addr
	Hostname string
	// Server is who gave the lease; NextServer is BOOTP's siaddr, if set, and BootFile its file or option 67: where DHCP
	// says the boot server is. All zero for a static configuration.
	Server     netip.Addr
	NextServer netip.Addr
	BootFile   string
	// Duration is the lease time; 0 for a static configuration.
	Duration time.Duration
}

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
	Addr    netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr
	// Hostname is what DHCP says, or, if Named is set, what the site's rules say: then it stays, and DHCP servers are told (option 12).
	Hostname string
	Named    bool
	// Server is who gave the lease; NextServer is BOOTP's siaddr, if set, and BootFile its file or option 67: where DHCP
	// says the boot server is. All zero for a static configuration, but for NextServer where ip= names a server.
	Server     netip.Addr
	NextServer netip.Addr
	BootFile   string
	// Duration is the lease time; 0 for a static configuration. Renew and Rebind, counted like it from when the lease
	// was given, are when to ask its server for more time, and when to ask any.
	Duration      time.Duration
	Renew, Rebind time.Duration
	// Domain is the DNS domain, MTU the interface's in bytes, Routes those beside the default one (RFC 3442). Zero if
	// not given.
	Domain string
	MTU    int
	Routes []Route

	// fixedMTU is the MTU that a person set, whatever DHCP says; 0 for none.
	fixedMTU int
	// notes are what the server said that is not followed, to be shown once.
	notes []string
}

// WithName is the lease with the host name that the site's rules give.
func (l Lease) WithName(name string) Lease {
	l.Hostname, l.Named = name, true
	return l
}

// name is the name by the site's rules; empty if there is none.
func (l Lease) name() string {
	if !l.Named {
		return ""
	}
	return l.Hostname
}

// Route is a way to other networks.
type Route struct {
	Dest netip.Prefix
	// Via is the router; zero for a network on the link itself.
	Via netip.Addr
}

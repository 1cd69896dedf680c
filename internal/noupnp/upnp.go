// Package upnp stands in for github.com/anacrolix/upnp, by which github.com/anacrolix/torrent asks home routers for open ports. A
// room has none to open (torrent.ClientConfig.NoDefaultPortForwarding), and nodes no use for an XML reader.
package upnp

import (
	"net"
	"time"

	"github.com/anacrolix/log"
)

// Protocol is a transport protocol.
type Protocol string

// The protocols.
const (
	TCP Protocol = "TCP"
	UDP Protocol = "UDP"
)

// Device is a router. There is none.
type Device interface {
	ID() string
	GetLocalIPAddress() net.IP
	AddPortMapping(protocol Protocol, internalPort, externalPort int, description string, duration time.Duration) (int, error)
	DeletePortMapping(protocol Protocol, externalPort int) error
	GetExternalIPAddress() (net.IP, error)
}

// Discover finds nothing.
func Discover(time.Duration, time.Duration, log.Logger) []Device { return nil }

// Package seederurl is how a seeder's address is told: as text, of which it makes the base URL, and by DHCP; and in which words
// it is said that nobody answers there.
package seederurl

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// VendorClass begins option 60 of phase 1's DHCP messages (RFC 2132, 9.13), to which a seeder answers with its base URL as boot
// file, and is that option in the answer.
const VendorClass = "BootTorrent"

// DefaultPort is the seeder's HTTP port where only an address is known.
const DefaultPort = 8080

// errHTTPS says why a seeder can't be reached by https: nodes have no certificates to check one with, and what they get is
// signed (package catalog).
var errHTTPS = errors.New("a seeder speaks http, not https: what it serves is signed; write http://ADDRESS:PORT")

// Base makes the base URL of a seeder, without a slash at the end, of an address, ADDRESS:PORT, or the URL of anything it
// serves: the host is what counts, since a seeder serves from the root. Without a port it is DefaultPort, unless the URL
// names a scheme, which has a port of its own.
func Base(said string) (string, error) {
	bad := func() (string, error) {
		return "", fmt.Errorf("%q is no address; write http://ADDRESS:PORT", said)
	}
	if a, err := netip.ParseAddr(said); err == nil && a.Zone() == "" {
		return "http://" + net.JoinHostPort(a.String(), strconv.Itoa(DefaultPort)), nil
	}
	withScheme := said
	if !strings.Contains(said, "://") {
		withScheme = "http://" + said
	}
	u, err := url.Parse(withScheme)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(u.Hostname(), "%") {
		return bad()
	}
	switch u.Scheme {
	case "http":
	case "https":
		return "", fmt.Errorf("%q: %w", said, errHTTPS)
	default:
		return bad()
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return bad()
		}
	} else if withScheme != said {
		u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(DefaultPort))
	}
	return u.Scheme + "://" + u.Host, nil
}

// HasScheme is whether a text begins as a URL of HTTP does.
func HasScheme(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

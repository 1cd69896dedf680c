// Package seederurl is how a seeder's address is told: as text, of which it makes the base URL, and by DHCP; and in which words it
// is said that nobody answers there.
package seederurl

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// VendorClass begins option 60 of phase 1's DHCP messages (RFC 2132, 9.13), to which a seeder answers with its base URL as boot
// file, and is that option in the answer.
const VendorClass = "BootTorrent"

// DefaultPort is the seeder's HTTP port where only an address is known.
const DefaultPort = 8080

// errHTTPS says why a seeder can't be reached by https: nodes have no certificates to check one with, and what they get is
// signed (package catalog).
var errHTTPS = errors.New("a seeder speaks http, not https, since what it serves is signed; write http://ADDRESS:PORT")

// Base makes the base URL of a seeder, without a slash at the end, of an address, ADDRESS:PORT, or the URL of anything it
// serves: the host is what counts, since a seeder serves from the root. Without a port it is DefaultPort, unless the URL
// names a scheme, which has a port of its own. The base URL of a base URL is itself.
func Base(said string) (string, error) {
	u, err := parse(said)
	if err != nil || !HasScheme(u.Scheme+"://") || !isHost(u.Hostname()) || u.User != nil || !isPort(u.Port()) {
		return "", fmt.Errorf("%q is no address; write http://ADDRESS:PORT", said)
	}
	if u.Scheme == "https" {
		return "", fmt.Errorf("%q: %w", said, errHTTPS)
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String(), nil // writes the % of a zone as URLs have it (RFC 6874)
}

// parse makes a URL of an address without a scheme as well.
func parse(said string) (*url.URL, error) {
	if strings.Contains(said, "://") {
		return url.Parse(said)
	}
	u := &url.URL{Scheme: "http", Host: said}
	if a, err := netip.ParseAddr(said); err == nil {
		u.Host = net.JoinHostPort(a.String(), "")
	} else if u, err = url.Parse("http://" + said); err != nil {
		return nil, err
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(DefaultPort))
	}
	return u, nil
}

// isHost is whether a URL's host is an address, with or without a zone, or can be a name: letters of any script, digits, dots,
// hyphens and underscores. What else a URL may have escaped there, such as control characters, names no host and no interface.
func isHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == "" || isName(a.Zone()) && !strings.ContainsFunc(a.Zone(), func(r rune) bool { return r > unicode.MaxASCII })
	}
	return isName(host)
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_", r)
	})
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// HasScheme is whether a text begins as a URL of HTTP does.
func HasScheme(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

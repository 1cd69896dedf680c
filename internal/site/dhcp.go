package site

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// maxRange is the number of addresses above which a range is taken for a mistake: those of a /16.
const maxRange = 1 << 16

// readDHCP reads the section dhcp, and returns what is reserved. serve.address must have been read.
func readDHCP(m *mapping, s *Site) taken {
	d := &s.DHCP
	d.Mode = DHCPMode(m.oneOf("mode", string(DHCPProxy), string(DHCPProxy), string(DHCPServer), string(DHCPOff)))

	d.Lease = m.lease()
	if mask := m.ipv4("netmask"); mask.IsValid() {
		d.Netmask = netmaskBits(m, mask)
	}
	d.Router = m.ipv4("router")
	d.DNS = m.nameServers()
	readRanges(m, d, s.Serve.Address)
	if d.Router.IsValid() && d.Router == s.Serve.Address && !m.implied("router") {
		m.check.warning(m.place("router"), fmt.Sprintf("the router %s is this machine (serve.address)", d.Router),
			"make sure it forwards packets, or name the real one")
	}
	reserved := readReservations(m, s)
	m.done()

	if d.Mode != DHCPServer && (d.First.IsValid() || len(d.Reservations) > 0) {
		m.check.warning(m.place("mode"), fmt.Sprintf("dhcp.range and the addresses in dhcp.reservations are not used with mode %s", d.Mode),
			"write mode: server, if this seeder is to hand out addresses")
	}
	return reserved
}

// lease reads the lease time: whole seconds, as RFC 2132 §9.2 has them in 32 bits with all ones for "for ever".
func (m *mapping) lease() time.Duration {
	const key, absent = "lease", time.Hour
	do := "write a time of a second or more, such as 30m, 1h or 12h"
	n := m.value(key)
	if n == nil {
		return absent
	}
	if kind(n) != "text" {
		m.wrongType(n, key, "a time with its unit", do)
		return absent
	}
	t := m.text(key, "")
	lease, err := time.ParseDuration(t.value)
	switch {
	case err != nil:
		m.check.problem(t.place, fmt.Sprintf("dhcp.lease: %q is no time", t.value), do)
	case lease < time.Second || lease%time.Second != 0:
		m.check.problem(t.place, fmt.Sprintf("dhcp.lease is %v, which is not one or more whole seconds", lease), do)
	case lease/time.Second >= math.MaxUint32:
		m.check.problem(t.place, fmt.Sprintf("dhcp.lease is %v, longer than DHCP can say", lease), "write at most 24h or so")
	default:
		if lease < shortLease && !m.implied(key) {
			m.check.warning(t.place, fmt.Sprintf("dhcp.lease is %v: machines renew once a minute at most, and may lose their addresses meanwhile", lease),
				fmt.Sprintf("write %s or more", shortLease))
		}
		return lease
	}
	return absent
}

// shortLease is twice the time that RFC 2131 (section 4.4.5) has clients wait between renewals, and some for lost packets.
const shortLease = 5 * time.Minute

func checkRange(span *mapping, d *DHCP, own netip.Addr) {
	c := span.check
	for _, key := range []string{"first", "last"} {
		if d.Mode == DHCPServer && span.isEmpty(key) {
			c.problem(span.place(key), fmt.Sprintf("dhcp.range.%s is missing", key),
				"mode server needs the first and last address to hand out: range: {first: 192.168.1.100, last: 192.168.1.199}")
		}
	}
	if !d.First.IsValid() || !d.Last.IsValid() {
		return
	}
	switch size := int64(number(d.Last)) - int64(number(d.First)) + 1; {
	case size <= 0:
		c.problem(span.place("last"), fmt.Sprintf("the range ends at %s, before it begins at %s", d.Last, d.First), "exchange the two")
	case size > maxRange:
		c.problem(span.place("last"), fmt.Sprintf("the range has %d addresses", size), fmt.Sprintf("write one of at most %d", maxRange))
	}
	if n := d.Netmask; n > 0 && netip.PrefixFrom(d.First, n).Masked() != netip.PrefixFrom(d.Last, n).Masked() {
		c.problem(span.place("last"), fmt.Sprintf("with the netmask %s, %s and %s are in different networks", net.IP(net.CIDRMask(n, 32)), d.First, d.Last),
			"correct one of the three")
	}
	// The pool leaves both out by itself.
	if own.IsValid() && inRange(d, own) {
		c.warning(span.place("first"), fmt.Sprintf("this machine's address %s is within the range, and is not handed out", own),
			"leave it out of the range")
	}
	if d.Router.IsValid() && d.Router != own && inRange(d, d.Router) {
		c.warning(span.place("first"), fmt.Sprintf("the router %s is within the range, and is not handed out", d.Router),
			"leave it out of the range")
	}
}

// implied reports whether a key follows from others, so that the operator need not be warned of it.
func (m *mapping) implied(key string) bool {
	return m.document.implied != nil && m.document.implied(m.path+key)
}

// isEmpty reports whether a key is absent or has the value "".
func (m *mapping) isEmpty(key string) bool {
	s, isString := m.values[key].(*ast.StringNode)
	return !m.has(key) || isString && s.Value == ""
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func inRange(d *DHCP, a netip.Addr) bool {
	return d.First.Compare(a) <= 0 && a.Compare(d.Last) <= 0
}

// readReservations reads what single machines are given, and returns what is taken by that.
func readReservations(m *mapping, s *Site) taken {
	reserved := taken{}
	for _, r := range m.mappings("reservations") {
		var out Reservation
		before := len(m.check.problems)
		if t, ok := r.required("mac", "write the machine's MAC address: mac: 52:54:00:12:34:56"); ok {
			if mac := readMAC(m.check, t); mac != "" && reserved.unique(m.check, t, "MAC address", mac, "reserved") {
				out.MAC, _ = net.ParseMAC(mac)
			}
		}
		if t, ok := r.required("address", "write the address to give to it: address: 192.168.1.20"); ok {
			if out.Address = checkAddress(m.check, r.path+"address", t, s); out.Address.IsValid() {
				reserved.unique(m.check, t, "address", out.Address.String(), "reserved")
			}
		}
		if t := r.text("hostname", ""); t.value != "" {
			if !catalog.IsHostname(t.value) {
				m.check.problem(t.place, fmt.Sprintf("%q is no host name", t.value), "write up to 63 letters, digits and hyphens")
			}
			reserved.unique(m.check, t, "host name", strings.ToLower(t.value), "reserved")
			out.Hostname = t.value
		}
		r.done()
		if len(m.check.problems) == before {
			s.DHCP.Reservations = append(s.DHCP.Reservations, out)
		}
	}
	return reserved
}

package v0

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/self"
)

// rangeExample is a dhcp_range of the original, for messages.
const rangeExample = `"192.168.1.50,192.168.1.150,12h"`

// dhcpRange reads a range as dnsmasq(8) has it under --dhcp-range for IPv4, and reports whether it has addresses to hand out:
//
//	[set:TAG,]FIRST,LAST|proxy[,NETMASK[,BROADCAST]][,LEASE]
//
// What dnsmasq takes and the seeder can't do is a problem that says so.
func (c *converter) dhcpRange(g Group, value string) (server bool) {
	const from, example = "dnsmasq.dhcp_range", "write it as " + rangeExample
	r := dhcpRange{g}
	fields := r.untagged(value)
	if fields == nil {
		return false
	}
	if first, err := netip.ParseAddr(fields[0]); err == nil && first.Is6() {
		r.problem(fields[0]+" is an IPv6 address, and machines boot over IPv4", example)
		return false
	}
	if len(fields) < 2 {
		r.problem("the last address is missing", example)
		return false
	}
	if fields[1] == "static" {
		r.problem("static gives addresses to machines that are listed, and the original had no list",
			"write a last address; to list machines, run then '"+self.Seeder()+" migrate "+c.dir+"', and see dhcp: reservations")
		return false
	}
	netmask, rest := r.netmask(fields[0], fields[2:])
	lease := r.lease(rest)
	first, ok := g.IPv4("dhcp_range", fields[0])
	if fields[1] == "proxy" {
		return false // the network is the interface's, and there are no leases
	}
	last, lastOK := g.IPv4("dhcp_range", fields[1])
	if !ok || !lastOK {
		return false
	}
	if last.Less(first) {
		first, last = last, first // as dnsmasq does
	}
	c.put("dhcp.range", fmt.Sprintf("{first: %s, last: %s}", first, last), from)
	c.put("dhcp.lease", leaseText(lease), from)
	if netmask.IsValid() {
		c.put("dhcp.netmask", netmask.String(), from)
	}
	if c.host.IsValid() { // dnsmasq names itself as the router if nobody says otherwise
		c.put("dhcp.router", c.host.String(), from)
	}
	return true
}

// dhcpRange is the range in a group that is being read.
type dhcpRange struct{ Group }

func (r dhcpRange) problem(what, do string) {
	r.Problem("dhcp_range", "dnsmasq.dhcp_range: "+what, do)
}

// untagged splits a range at its commas, without the tag it sets, which nothing in the original asked for. Tags that a machine must
// have to be served are a problem; then it returns nil.
func (r dhcpRange) untagged(value string) []string {
	fields := strings.Split(value, ",")
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	isTag := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(".: 0123456789abcdefABCDEF", r) })
	}
	for tags := 0; len(fields) > 1 && isTag(fields[0]); fields = fields[1:] {
		if strings.HasPrefix(fields[0], "tag:") || tags > 0 {
			r.problem(fields[0]+" is a tag, and the seeder has none", "remove it: "+rangeExample)
			return nil
		}
		tags++
	}
	return fields
}

// netmask reads the netmask and the broadcast address at the beginning of fields, if they are there, and returns the rest. address is one
// of the network.
func (r dhcpRange) netmask(address string, fields []string) (mask netip.Addr, rest []string) {
	next := func() (a netip.Addr) {
		if len(fields) > 0 && strings.Contains(fields[0], ".") {
			a, _ = netip.ParseAddr(fields[0])
		}
		if a.Is4() {
			fields = fields[1:]
			return a
		}
		return netip.Addr{}
	}
	mask = next()
	if !mask.IsValid() {
		return mask, fields
	}
	bits, size := net.IPMask(mask.AsSlice()).Size()
	broadcast := next()
	if size == 0 || bits == 0 {
		r.problem(mask.String()+" is no netmask", "write one like 255.255.255.0, or leave it out: the interface's counts")
		return netip.Addr{}, fields
	}
	first, err := netip.ParseAddr(address)
	if want := lastOf(netip.PrefixFrom(first, bits)); broadcast.IsValid() && err == nil && broadcast != want {
		r.Warning("dhcp_range", fmt.Sprintf("dnsmasq.dhcp_range: the broadcast address %s is not handed out", broadcast),
			fmt.Sprintf("leave it out: it is %s, which follows from the netmask", want))
	}
	return mask, fields
}

// lastOf is the last address of a network of IPv4.
func lastOf(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() {
		return netip.Addr{}
	}
	b := p.Masked().Addr().As4()
	for i, m := range net.CIDRMask(p.Bits(), 32) {
		b[i] |= ^m
	}
	return netip.AddrFrom4(b)
}

// longest is what a lease without end is taken for: a lease of DHCP has its seconds in 32 bits.
const longest = 100 * 365 * 24 * time.Hour

// shortest is what dnsmasq makes of anything shorter.
const shortest = 2 * time.Minute

// lease reads the lease time, the only thing that can be left in fields. Without one it is an hour, as dnsmasq has it.
func (r dhcpRange) lease(fields []string) time.Duration {
	const absent = time.Hour
	switch {
	case len(fields) > 1:
		r.problem(fmt.Sprintf("%q has no meaning before %q", fields[0], fields[1]), "write it as "+rangeExample)
		return absent
	case len(fields) == 0 || fields[0] == "":
		return absent
	case fields[0] == "infinite":
		return longest
	}
	units := []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
	digits, unit := fields[0], time.Second
	if i := strings.IndexByte("smhdw", digits[len(digits)-1]|0x20); i >= 0 {
		digits, unit = digits[:len(digits)-1], units[i]
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		r.problem(fmt.Sprintf("%q is no lease time", fields[0]), "write seconds, a number with m, h, d or w, or infinite")
		return absent
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > int64(longest/unit) {
		return longest
	}
	return max(time.Duration(n)*unit, shortest)
}

// leaseText is 12h, where time's own is 12h0m0s.
func leaseText(lease time.Duration) string {
	s := lease.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

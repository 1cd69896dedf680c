package site

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rangeExample is a dhcp_range of the original, for messages.
const rangeExample = `"192.168.1.50,192.168.1.150,12h"`

// dhcpRange reads a range as dnsmasq(8) has it under --dhcp-range for IPv4:
//
//	[set:TAG,]FIRST,LAST|proxy[,NETMASK[,BROADCAST]][,LEASE]
//
// What dnsmasq takes and the seeder can't do is a problem that says so.
func (o *original) dhcpRange(t text) {
	bad := func(what, do string) { o.problem(t.place, "dnsmasq.dhcp_range: "+what, do) }
	fields := o.untagged(t)
	if fields == nil {
		return
	}
	if first, err := netip.ParseAddr(fields[0]); err == nil && first.Is6() {
		bad(fields[0]+" is an IPv6 address, and machines boot over IPv4", "write it as "+rangeExample)
		return
	}
	if len(fields) < 2 {
		bad("the last address is missing", "write it as "+rangeExample)
		return
	}
	if fields[1] == "static" {
		bad("static gives addresses to machines that are listed, and the original had no list",
			"write a last address; to list machines, run then 'seeder migrate "+o.dir+"', and see dhcp: reservations")
		return
	}
	d := &o.site.DHCP
	rest := fields[2:]
	d.Netmask, rest = o.netmask(t, fields[0], rest)
	if lease, ok := o.lease(t, rest); ok {
		d.Lease = lease
	}
	if fields[1] == string(DHCPProxy) {
		// The network is the interface's, and there are no leases.
		*d = DHCP{Mode: DHCPProxy, Lease: time.Hour}
		parseIPv4(o.checker, "dnsmasq.dhcp_range", text{t.place, fields[0]})
		return
	}
	d.Mode = DHCPServer
	d.First = parseIPv4(o.checker, "dnsmasq.dhcp_range", text{t.place, fields[0]})
	d.Last = parseIPv4(o.checker, "dnsmasq.dhcp_range", text{t.place, fields[1]})
	if d.First.IsValid() && d.Last.Compare(d.First) < 0 && d.Last.IsValid() {
		d.First, d.Last = d.Last, d.First // as dnsmasq does
	}
	// dnsmasq names itself as the router if nobody says otherwise.
	d.Router = o.host
	checked := DHCP{First: d.First, Last: d.Last, Netmask: d.Netmask}
	checkRange(newMapping(o.checker, "dnsmasq.dhcp_range", t.place, nil), &checked, o.host)
}

// untagged splits a range at its commas, without the tag it sets, which nothing in the original asked for. Tags that a machine must
// have to be served are a problem; then it returns nil.
func (o *original) untagged(t text) []string {
	fields := strings.Split(t.value, ",")
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	isTag := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(".: 0123456789abcdefABCDEF", r) })
	}
	for tags := 0; len(fields) > 1 && isTag(fields[0]); fields = fields[1:] {
		if strings.HasPrefix(fields[0], "tag:") || tags > 0 {
			o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range: %s is a tag, and the seeder has none", fields[0]), "remove it: "+rangeExample)
			return nil
		}
		tags++
	}
	return fields
}

// netmask reads the netmask and the broadcast address at the beginning of fields, if they are there, and returns the rest. address is one
// of the network.
func (o *original) netmask(t text, address string, fields []string) (bits int, rest []string) {
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
	mask := next()
	if !mask.IsValid() {
		return 0, fields
	}
	bits, ok := maskBits(mask)
	if !ok {
		o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range: %s is no netmask", mask), noNetmask)
	}
	if broadcast := next(); broadcast.IsValid() && ok {
		first, err := netip.ParseAddr(address)
		if want := lastOf(netip.PrefixFrom(first, bits)); err == nil && broadcast != want {
			o.warning(t.place, fmt.Sprintf("dnsmasq.dhcp_range: the broadcast address %s is not handed out", broadcast),
				fmt.Sprintf("leave it out: it is %s, which follows from the netmask", want))
		}
	}
	return bits, fields
}

// noNetmask is what to do about one.
const noNetmask = "write one like 255.255.255.0, or leave it out: the interface's counts"

// maskBits is the length of a netmask; it is not ok if that is no run of ones.
func maskBits(mask netip.Addr) (bits int, ok bool) {
	bits, size := net.IPMask(mask.AsSlice()).Size()
	return bits, size == 32 && bits > 0
}

// netmaskOf is the netmask with so many ones.
func netmaskOf(bits int) netip.Addr {
	a, _ := netip.AddrFromSlice(net.CIDRMask(bits, 32))
	return a
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
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

// lease reads the lease time, the only thing that can be left in fields; ok is false if there is none.
func (o *original) lease(t text, fields []string) (lease time.Duration, ok bool) {
	const do = "write seconds, a number with m, h, d or w, or infinite"
	switch {
	case len(fields) > 1:
		o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range: %q has no meaning before %q", fields[0], fields[1]), "write it as "+rangeExample)
		return 0, false
	case len(fields) == 0 || fields[0] == "":
		return 0, false
	case fields[0] == "infinite":
		return longest, true
	}
	units := []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
	digits, unit := fields[0], time.Second
	if i := strings.IndexByte("smhdw", digits[len(digits)-1]|0x20); i >= 0 {
		digits, unit = digits[:len(digits)-1], units[i]
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		o.problem(t.place, fmt.Sprintf("dnsmasq.dhcp_range: %q is no lease time", fields[0]), do)
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > int64(longest/unit) {
		return longest, true
	}
	return max(time.Duration(n)*unit, shortest), true
}

// rangeKeys are the keys of version 1, below dhcp, for what a range says.
func rangeKeys(d DHCP) []string {
	if d.Mode != DHCPServer {
		return nil
	}
	keys := []string{fmt.Sprintf("range: {first: %s, last: %s}", d.First, d.Last), "lease: " + leaseText(d.Lease)}
	if d.Netmask > 0 {
		keys = append(keys, fmt.Sprintf("netmask: %s", netmaskOf(d.Netmask)))
	}
	if d.Router.IsValid() {
		keys = append(keys, fmt.Sprintf("router: %s", d.Router))
	}
	return slices.Clip(keys)
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

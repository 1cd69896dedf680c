package network

import (
	"context"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func option(code uint8, value ...byte) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), value))
}

// Options 51, 58 and 59 as servers send them. A lease is never renewed sooner than after a minute, and before it ends.
func TestLeaseTimes(t *testing.T) {
	seconds := func(code uint8, n uint32) dhcpv4.Modifier {
		return option(code, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	const ever = 1<<32 - 1
	for name, tt := range map[string]struct {
		options              []dhcpv4.Modifier
		lease, renew, rebind time.Duration
	}{
		"as it should be":      {[]dhcpv4.Modifier{seconds(51, 3600), seconds(58, 1000), seconds(59, 3000)}, 3600, 1000, 3000},
		"without T1 and T2":    {[]dhcpv4.Modifier{seconds(51, 3600)}, 3600, 1800, 3150},
		"T1 is 0":              {[]dhcpv4.Modifier{seconds(51, 3600), seconds(58, 0), seconds(59, 3000)}, 3600, 1800, 3150},
		"T2 is 0":              {[]dhcpv4.Modifier{seconds(51, 3600), seconds(58, 1000), seconds(59, 0)}, 3600, 1000, 3150},
		"both are 0":           {[]dhcpv4.Modifier{seconds(51, 3600), seconds(58, 0), seconds(59, 0)}, 3600, 1800, 3150},
		"T1 is a second":       {[]dhcpv4.Modifier{seconds(51, 3600), seconds(58, 1), seconds(59, 2)}, 3600, 1800, 3150},
		"T1 after T2":          {[]dhcpv4.Modifier{seconds(51, 3600), seconds(58, 3000), seconds(59, 1000)}, 3600, 1800, 3150},
		"T1 is T2":             {[]dhcpv4.Modifier{seconds(51, 3600), seconds(58, 1000), seconds(59, 1000)}, 3600, 1800, 3150},
		"T2 after the end":     {[]dhcpv4.Modifier{seconds(51, 3600), seconds(58, 1000), seconds(59, 7200)}, 3600, 1000, 3150},
		"T1 and T2 are never":  {[]dhcpv4.Modifier{seconds(51, 3600), seconds(58, ever), seconds(59, ever)}, 3600, 1800, 3150},
		"a lease for ever":     {[]dhcpv4.Modifier{seconds(51, ever)}, ever, ever / 2, ever / 8 * 7},
		"no lease time":        {nil, ever, ever / 2, ever / 8 * 7},
		"a lease of no time":   {[]dhcpv4.Modifier{seconds(51, 0), seconds(58, 0), seconds(59, 0)}, 3600, 1800, 3150},
		"a lease of a second":  {[]dhcpv4.Modifier{seconds(51, 1)}, 120, 60, 105},
		"the highest bit":      {[]dhcpv4.Modifier{seconds(51, 1<<31)}, 1 << 31, 1 << 30, 1 << 28 * 7},
		"times of two bytes":   {[]dhcpv4.Modifier{seconds(51, 3600), option(58, 0, 5), option(59, 0, 9)}, 3600, 1800, 3150},
		"a lease time, 1 byte": {[]dhcpv4.Modifier{option(51, 9)}, ever, ever / 2, ever / 8 * 7},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := newLease("eth0", testMAC, reply(t, dhcpv4.MessageTypeAck, append(tt.options, yours(10, 0, 0, 7))...), offers{})
			if err != nil {
				t.Fatal(err)
			}
			near := func(got, want time.Duration) bool { return (got - want*time.Second).Abs() < 10*time.Second }
			if !near(l.Duration, tt.lease) || !near(l.Renew, tt.renew) || !near(l.Rebind, tt.rebind) {
				t.Errorf("lease %v, renewed after %v, rebound after %v", l.Duration, l.Renew, l.Rebind)
			}
		})
	}
}

// The other options as servers send them: what can be used is, what can't is left out.
func TestNewLeaseOfOddServers(t *testing.T) {
	a := netip.MustParseAddr
	for name, tt := range map[string]struct {
		options []dhcpv4.Modifier
		want    Lease
		note    string
	}{
		"empty values": {[]dhcpv4.Modifier{option(1), option(3), option(6), option(12), option(15), option(26), option(121)},
			Lease{Addr: netip.MustParsePrefix("10.0.0.7/8")}, ""},
		"a mask of zeroes": {[]dhcpv4.Modifier{option(1, 0, 0, 0, 0)}, Lease{Addr: netip.MustParsePrefix("10.0.0.7/8")}, ""},
		"a mask of all ones": {[]dhcpv4.Modifier{option(1, 255, 255, 255, 255), option(3, 10, 0, 0, 1)},
			Lease{Addr: netip.MustParsePrefix("10.0.0.7/32"), Gateway: a("10.0.0.1")}, ""},
		"a list with a piece too much": {[]dhcpv4.Modifier{option(6, 10, 0, 0, 53, 10)},
			Lease{Addr: netip.MustParsePrefix("10.0.0.7/8"), DNS: []netip.Addr{a("10.0.0.53")}}, ""},
		"no addresses among them": {[]dhcpv4.Modifier{option(3, 0, 0, 0, 0, 255, 255, 255, 255, 224, 0, 0, 1, 10, 0, 0, 1), option(6, 9, 9, 9, 9, 9, 9, 9, 9)},
			Lease{Addr: netip.MustParsePrefix("10.0.0.7/8"), Gateway: a("10.0.0.1"), DNS: []netip.Addr{a("9.9.9.9")}}, ""},
		"names that end in NUL, and a list of domains": {[]dhcpv4.Modifier{option(12, []byte("node7\x00")...), option(15, []byte("a.example b.example\x00")...)},
			Lease{Addr: netip.MustParsePrefix("10.0.0.7/8"), Hostname: "node7", Domain: "a.example"}, ""},
		"a small MTU":       {[]dhcpv4.Modifier{option(26, 2, 0)}, Lease{Addr: netip.MustParsePrefix("10.0.0.7/8")}, "MTU 512"},
		"an MTU of no size": {[]dhcpv4.Modifier{option(26, 5)}, Lease{Addr: netip.MustParsePrefix("10.0.0.7/8")}, "1 bytes instead of 2"},
		"the smallest MTU":  {[]dhcpv4.Modifier{option(26, 2, 64)}, Lease{Addr: netip.MustParsePrefix("10.0.0.7/8"), MTU: 576}, ""},
		"a route to a host on the link, and by it to all": {[]dhcpv4.Modifier{option(1, 255, 255, 255, 255), option(121, 32, 10, 9, 9, 1, 0, 0, 0, 0, 0, 10, 9, 9, 1)},
			Lease{Addr: netip.MustParsePrefix("10.0.0.7/32"), Gateway: a("10.9.9.1"), Routes: []Route{{netip.MustParsePrefix("10.9.9.1/32"), netip.Addr{}}}}, ""},
		"bits behind the prefix": {[]dhcpv4.Modifier{option(121, 12, 172, 31, 10, 0, 0, 1)},
			Lease{Addr: netip.MustParsePrefix("10.0.0.7/8"), Routes: []Route{{netip.MustParsePrefix("172.16.0.0/12"), a("10.0.0.1")}}}, ""},
		"routes that are cut off": {[]dhcpv4.Modifier{option(3, 10, 0, 0, 9), option(121, 8, 11, 10, 0, 0, 1, 24, 10)},
			Lease{Addr: netip.MustParsePrefix("10.0.0.7/8"), Routes: []Route{{netip.MustParsePrefix("11.0.0.0/8"), a("10.0.0.1")}}}, "1 of them"},
		"no route at all": {[]dhcpv4.Modifier{option(3, 10, 0, 0, 9), option(121, 99, 10)},
			Lease{Addr: netip.MustParsePrefix("10.0.0.7/8"), Gateway: a("10.0.0.9")}, "0 of them"},
	} {
		t.Run(name, func(t *testing.T) {
			mods := append(tt.options, yours(10, 0, 0, 7), dhcpv4.WithLeaseTime(3600))
			got, err := newLease("eth0", testMAC, reply(t, dhcpv4.MessageTypeAck, mods...), offers{})
			if err != nil {
				t.Fatal(err)
			}
			if notes := strings.Join(got.notes, "\n"); (notes == "") != (tt.note == "") || !strings.Contains(notes, tt.note) {
				t.Errorf("notes %q, want one with %q", notes, tt.note)
			}
			want := tt.want
			want.Interface, want.MAC, want.Server, want.notes = "eth0", testMAC, a("10.0.0.1"), got.notes
			want.Duration, want.Renew, want.Rebind = time.Hour, 30*time.Minute, 52*time.Minute+30*time.Second
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// An ACK that is shorter than the offer before it, and one that repeats only the time of the lease.
func TestWhatAnAckLeavesOut(t *testing.T) {
	offer := reply(t, dhcpv4.MessageTypeOffer, yours(10, 0, 0, 7), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
		dhcpv4.WithRouter(net.IP{10, 0, 0, 254}), dhcpv4.WithDNS(net.IP{10, 0, 0, 53}), option(26, 5, 120), dhcpv4.WithLeaseTime(600))
	l, err := newLease("eth0", testMAC, reply(t, dhcpv4.MessageTypeAck, yours(10, 0, 0, 7), dhcpv4.WithLeaseTime(3600)), offers{address: offer})
	if err != nil || l.Addr.String() != "10.0.0.7/24" || l.Gateway.String() != "10.0.0.254" || l.Duration != time.Hour {
		t.Fatalf("%+v, %v", l, err)
	}
	l.BootFile = "http://10.0.0.2:8080"
	for name, mods := range map[string][]dhcpv4.Modifier{
		"only the time":          {yours(10, 0, 0, 7), dhcpv4.WithLeaseTime(7200)},
		"not even the address":   {dhcpv4.WithLeaseTime(7200)},
		"nor who it is from":     {dhcpv4.WithLeaseTime(7200), dhcpv4.WithoutOption(dhcpv4.OptionServerIdentifier)},
		"an empty mask, no DNS":  {dhcpv4.WithLeaseTime(7200), option(1), option(6)},
		"a time that is no time": {yours(10, 0, 0, 7), option(51, 0, 0, 28, 32), option(58, 0, 0, 0, 0)},
	} {
		next, err := l.renewed(reply(t, dhcpv4.MessageTypeAck, mods...))
		want := l
		want.Duration, want.Renew, want.Rebind = 2*time.Hour, time.Hour, 105*time.Minute
		if err != nil || !reflect.DeepEqual(next, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, next, want)
		}
	}
	next, err := l.renewed(reply(t, dhcpv4.MessageTypeAck, yours(10, 1, 0, 7), dhcpv4.WithLeaseTime(7200)))
	if err != nil || next.Addr.String() != "10.1.0.7/8" || next.Gateway.IsValid() {
		t.Errorf("another address keeps what was of the old one: %+v, %v", next, err)
	}
}

// In a network with two servers the other one refuses what this one offered; its own refusal counts.
func TestRefusalOfAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, network := net.Pipe()
		c := converse(packets{node}, nil, identity{mac: testMAC})
		defer c.Close()
		defer network.Close()
		asked := c.id.renew(netip.MustParseAddr("10.0.0.7"))
		xid := dhcpv4.WithTransactionID(asked.TransactionID)
		other := dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP{10, 0, 0, 2}))
		answers := [][]byte{
			reply(t, dhcpv4.MessageTypeNak, xid, other).ToBytes(),
			reply(t, dhcpv4.MessageTypeAck, xid, yours(10, 0, 0, 7)).ToBytes(),
		}
		go func() {
			buf := make([]byte, maxMessage)
			for {
				if _, err := network.Read(buf); err != nil {
					return
				}
				for _, b := range answers {
					if _, err := network.Write(b); err != nil {
						return
					}
				}
			}
		}()
		confirm := func(server netip.Addr) (*dhcpv4.DHCPv4, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			return c.confirm(ctx, asked, server, 4*time.Second)
		}
		if ack, err := confirm(netip.MustParseAddr("10.0.0.1")); err != nil || ack.MessageType() != dhcpv4.MessageTypeAck {
			t.Errorf("asked of 10.0.0.1: %v, %v", ack, err)
		}
		answers = slices.Clone(answers[:1])
		if _, err := confirm(netip.MustParseAddr("10.0.0.2")); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("asked of 10.0.0.2, which refuses: %v", err)
		}
	})
}

func TestBackoff(t *testing.T) {
	var got []time.Duration
	for n := 1; n <= 5; n++ {
		got = append(got, backoff(n))
	}
	if want := []time.Duration{2e9, 4e9, 8e9, 16e9, 16e9}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

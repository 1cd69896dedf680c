package site

import (
	"net/netip"
	"reflect"
	"testing"
	"testing/fstest"
)

// An entry of a list of ranges has what it says itself, and else what the section says; one range alone is written as ever.
func TestRanges(t *testing.T) {
	a, addrs := netip.MustParseAddr, func(s ...string) (out []netip.Addr) {
		for _, one := range s {
			out = append(out, netip.MustParseAddr(one))
		}
		return out
	}
	for name, test := range map[string]struct {
		text string
		want []Range
	}{
		"one": {"range: {first: 10.1.0.50, last: 10.1.0.99}\nrouter: 10.1.0.1\nnetmask: 255.255.0.0\n",
			[]Range{{a("10.1.0.50"), a("10.1.0.99"), 16, a("10.1.0.1"), nil}}},
		"two": {"range:\n- {first: 10.1.0.50, last: 10.1.0.99, router: 10.1.0.1}\n- {first: 10.2.0.50, last: 10.2.0.99, netmask: 255.255.254.0, dns: [10.2.0.2]}\ndns: [9.9.9.9]\n",
			[]Range{{a("10.1.0.50"), a("10.1.0.99"), 0, a("10.1.0.1"), addrs("9.9.9.9")}, {a("10.2.0.50"), a("10.2.0.99"), 23, netip.Addr{}, addrs("10.2.0.2")}}},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := &checker{}, &Site{}
			files := fstest.MapFS{ConfigFile: {Data: []byte("mode: server\n" + test.text)}}
			readDHCP(readDocument(c, files, ConfigFile, ConfigFile), s)
			if len(c.problems) > 0 {
				t.Fatal(c.problems)
			}
			d := s.DHCP
			var got []Range
			for _, one := range d.Split() {
				got = append(got, Range{one.First, one.Last, one.Netmask, one.Router, one.DNS})
				if one.Mode != DHCPServer || one.Lease != d.Lease || one.More != nil {
					t.Errorf("the range from %s has %+v", one.First, one)
				}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

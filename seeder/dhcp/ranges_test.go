package dhcp

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/internal/site"
)

var secondIface = Interface{Name: "eth1", Index: 3, Addr: netip.MustParsePrefix("10.78.0.1/24")}

func twoRanges() site.DHCP {
	cfg := testSite()
	cfg.More = []site.Range{{First: addr("10.78.0.50"), Last: addr("10.78.0.59"), Router: addr("10.78.0.254")}}
	return cfg
}

func TestCheck(t *testing.T) {
	both := []Interface{testIface, secondIface}
	for name, test := range map[string]struct {
		on     []Interface
		change func(*site.DHCP)
		want   []string // a part of each finding; ! in front: it is fatal
	}{
		"whole":               {[]Interface{testIface}, func(*site.DHCP) {}, nil},
		"proxy":               {both, func(d *site.DHCP) { d.Mode = site.DHCPProxy }, nil},
		"two ranges":          {both, func(d *site.DHCP) { *d = twoRanges() }, nil},
		"outside":             {[]Interface{secondIface}, func(d *site.DHCP) { d.Reservations = nil }, []string{"!the range 10.77.0.50 to 10.77.0.59 is in the network of no interface that is served (eth1 10.78.0.0/24)", "eth1 (10.78.0.0/24) has no range"}},
		"own address":         {[]Interface{testIface}, func(d *site.DHCP) { d.First = addr("10.77.0.1") }, []string{"has this machine's own address 10.77.0.1 in it"}},
		"router elsewhere":    {[]Interface{testIface}, func(d *site.DHCP) { d.Router = addr("10.79.0.1") }, []string{"the router 10.79.0.1 is not in the network"}},
		"reserved elsewhere":  {[]Interface{testIface}, func(d *site.DHCP) { d.Reservations[0].Address = addr("10.79.0.9") }, []string{"!the address 10.79.0.9 reserved"}},
		"interface without":   {both, func(*site.DHCP) {}, []string{"interface eth1 (10.78.0.0/24) has no range of its own"}},
		"no interface":        {nil, func(*site.DHCP) {}, []string{"!no interface"}},
		"no address":          {[]Interface{{Name: "eth2"}}, func(*site.DHCP) {}, []string{"!eth2 has no IPv4 address"}},
		"off, and no address": {nil, func(d *site.DHCP) { d.Mode = site.DHCPOff }, nil},
	} {
		cfg := testSite()
		test.change(&cfg)
		found := Check(cfg, test.on)
		for i, f := range found {
			if f.Do == "" || i >= len(test.want) || f.Fatal != strings.HasPrefix(test.want[i], "!") || !strings.Contains(f.String(), strings.TrimPrefix(test.want[i], "!")) {
				t.Errorf("%s: found %v (fatal: %v), want %q", name, f, f.Fatal, test.want)
			}
		}
		if len(found) != len(test.want) {
			t.Errorf("%s: %d findings, want %q: %v", name, len(found), test.want, found)
		}
	}
}

// Each interface hands out the range of its own network, with that one's router; both write to one database.
func TestRangeOfEachInterface(t *testing.T) {
	s, err := New(Config{Site: twoRanges(), Interfaces: []Interface{testIface, secondIface}, Boot: testBoot, Leases: filepath.Join(t.TempDir(), "leases.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, want := range []string{"10.77.0.", "10.78.0."} {
		h := s.handlers[i]
		req := request(dhcpv4.MessageTypeDiscover, from(otherMAC))
		d := h.handle(req, serverPort)
		if d.probe.IsValid() {
			d = h.probed(req, d.probe, nil)
		}
		if d.reply == nil || !strings.HasPrefix(d.reply.YourIPAddr.String(), want) || addrOf(d.reply.Router()[0]) != addr(want+"254") {
			t.Errorf("on %s: %s", h.iface.Name, describe(t, d))
		}
	}
}

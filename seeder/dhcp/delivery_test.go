package dhcp

import (
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/net/ipv4"
)

func TestDeliver(t *testing.T) {
	discover, req := dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest
	nobody, somebody := netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("10.77.0.9:4011")
	gets := dhcpv4.WithYourIP(net.IP{10, 77, 0, 50})
	flag := dhcpv4.WithBroadcast(true)
	relay := dhcpv4.WithGatewayIP(net.IP{10, 9, 0, 1})
	for _, test := range []struct {
		name       string
		req, reply *dhcpv4.DHCPv4
		from       netip.AddrPort
		port       int
		want       string
		toMAC      bool
	}{
		{"no address yet", request(discover), request(dhcpv4.MessageTypeOffer, gets), nobody, 67, "10.77.0.50:68", true},
		{"an old address", request(discover, has("10.77.0.9")), request(dhcpv4.MessageTypeOffer, gets), nobody, 67, "10.77.0.50:68", true},
		{"an old address, proxy", request(discover, has("10.77.0.9")), request(dhcpv4.MessageTypeOffer), nobody, 67, "255.255.255.255:68", false},
		{"broadcast flag", request(discover, flag), request(dhcpv4.MessageTypeOffer, gets), nobody, 67, "255.255.255.255:68", false},
		{"proxy's offer", request(discover), request(dhcpv4.MessageTypeOffer), nobody, 67, "255.255.255.255:68", false},
		{"relay", request(discover, relay, flag), request(dhcpv4.MessageTypeOffer, gets), nobody, 67, "10.9.0.1:67", false},
		{"renewing", request(req, has("10.77.0.9")), request(dhcpv4.MessageTypeAck, gets), somebody, 67, "10.77.0.9:68", false},
		{"refused", request(req, has("10.77.0.9")), request(dhcpv4.MessageTypeNak), somebody, 67, "255.255.255.255:68", false},
		{"refused by relay", request(req, relay, has("10.9.0.9")), request(dhcpv4.MessageTypeNak), somebody, 67, "10.9.0.1:67", false},
		{"boot server", request(req, has("10.77.0.9")), request(dhcpv4.MessageTypeAck), somebody, 4011, "10.77.0.9:4011", false},
		{"boot server, no source", request(req), request(dhcpv4.MessageTypeAck), nobody, 4011, "255.255.255.255:68", false},
	} {
		d := deliver(test.req, test.reply, test.from, test.port)
		if d.to.String() != test.want || (d.mac != nil) != test.toMAC {
			t.Errorf("%s: goes to %s (%s), want %s", test.name, d.to, d.mac, test.want)
		}
	}
}

func TestDatagram(t *testing.T) {
	for _, payload := range []string{"", "odd", "even"} {
		p, err := datagram([]byte(payload), netip.MustParseAddrPort("10.77.0.1:67"), netip.MustParseAddrPort("10.77.0.50:68"))
		if err != nil {
			t.Fatal(err)
		}
		h, err := ipv4.ParseHeader(p)
		if err != nil {
			t.Fatal(err)
		}
		if h.TotalLen != 28+len(payload) || h.Src.String() != "10.77.0.1" || h.Dst.String() != "10.77.0.50" || h.Protocol != 17 {
			t.Errorf("header: %v", h)
		}
		// A checksum over data that has its checksum in it is 0 (RFC 1071).
		if checksum(p[:20]) != 0 {
			t.Error("the header's checksum is wrong")
		}
		pseudo := append([]byte{10, 77, 0, 1, 10, 77, 0, 50, 0, 17, 0, byte(8 + len(payload))}, p[20:]...)
		if checksum(pseudo) != 0 {
			t.Errorf("the checksum is wrong in % x", p[20:])
		}
		got, from, to, ok := parseDatagram(append(p, "padding"...))
		if !ok || string(got) != payload || from.String() != "10.77.0.1:67" || to.String() != "10.77.0.50:68" {
			t.Errorf("%q became %q from %s to %s", payload, got, from, to)
		}
		for i := range p {
			if _, _, _, ok := parseDatagram(p[:i]); ok {
				t.Errorf("%d bytes of %d were accepted", i, len(p))
			}
		}
	}
}

func TestParseARP(t *testing.T) {
	p := arpProbe(testMAC, addr("10.77.0.50"))
	if a, mac, ok := parseARP(p); ok {
		t.Errorf("a probe claims no address, got %s %s", a, mac)
	}
	copy(p[14:], []byte{10, 77, 0, 50})
	if a, mac, ok := parseARP(p); !ok || a != addr("10.77.0.50") || mac.String() != testMAC.String() {
		t.Errorf("got %s %s %v", a, mac, ok)
	}
	for i := range len(p) {
		if _, _, ok := parseARP(p[:i]); ok {
			t.Errorf("%d bytes were accepted", i)
		}
	}
}

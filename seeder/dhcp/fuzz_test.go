package dhcp

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/internal/dhcpwire"
)

// FuzzHandle gives the handlers anything that parses as a DHCP packet.
func FuzzHandle(f *testing.F) {
	for _, name := range []string{"ipxe-rom-discover", "ipxe-rom-request", "ovmf-pxe-discover", "ovmf-pxe-request-4011", "ovmf-http-discover"} {
		f.Add(captured(f, name).ToBytes(), true)
	}
	f.Add(request(dhcpv4.MessageTypeRequest, wants("10.77.0.52")).ToBytes(), false)
	f.Add(request(dhcpv4.MessageTypeInform, class("BootTorrent"), has("10.77.0.52")).ToBytes(), false)
	f.Fuzz(func(t *testing.T, raw []byte, pxe bool) {
		req, err := dhcpwire.Read(raw)
		if err != nil {
			return
		}
		port := serverPort
		if pxe {
			port = pxePort
		}
		d := proxyHandler().handle(req, port)
		if d.reply != nil && (addrOf(d.reply.YourIPAddr).IsValid() || d.reply.Options.Has(dhcpv4.OptionIPAddressLeaseTime)) {
			t.Error("a proxy handed out an address")
		}
		describe(t, d)
		h := serverHandler(t)
		for range 2 { // the second time, the client is known
			d = h.handle(req, serverPort)
			if d.probe.IsValid() {
				d = h.probed(req, d.probe, nil)
			}
			if d.reply != nil && d.reply.MessageType() != dhcpv4.MessageTypeAck && d.reply.MessageType() != dhcpv4.MessageTypeOffer && d.reply.MessageType() != dhcpv4.MessageTypeNak {
				t.Errorf("replied with a %s", d.reply.MessageType())
			}
			describe(t, d)
		}
	})
}

// FuzzParseARP gives the prober any packet.
func FuzzParseARP(f *testing.F) {
	f.Add(arpProbe(testMAC, addr("10.77.0.50")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if a, mac, ok := parseARP(raw); ok && (!a.Is4() || len(mac) != 6) {
			t.Errorf("%s %s", a, mac)
		}
	})
}

// FuzzParseDatagram gives the proxy's socket any packet.
func FuzzParseDatagram(f *testing.F) {
	seed, err := datagram([]byte("payload"), netip.MustParseAddrPort("10.77.0.1:67"), broadcast)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, raw []byte) {
		payload, from, to, ok := parseDatagram(raw)
		if !ok {
			return
		}
		packet, err := datagram(payload, from, to)
		if err != nil {
			t.Fatal(err)
		}
		again, from2, to2, ok := parseDatagram(packet)
		if !ok || !bytes.Equal(again, payload) || from2 != from || to2 != to {
			t.Errorf("% x: %q %s %s became %q %s %s", raw, payload, from, to, again, from2, to2)
		}
	})
}

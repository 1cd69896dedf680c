package dhcp

import (
	"net"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

var (
	thisServer  = opt(dhcpv4.OptServerIdentifier(testIface.Addr.Addr().AsSlice()))
	otherServer = opt(dhcpv4.OptServerIdentifier(net.IP{10, 77, 0, 2}))
)

func wants(s string) dhcpv4.Modifier {
	return opt(dhcpv4.OptRequestedIPAddress(addr(s).AsSlice()))
}

func has(s string) dhcpv4.Modifier { return dhcpv4.WithClientIP(addr(s).AsSlice()) }

func from(mac net.HardwareAddr) dhcpv4.Modifier { return dhcpv4.WithHwAddr(mac) }

// step is one request to a server and what must come of it.
type step struct {
	name  string
	req   *dhcpv4.DHCPv4
	reply dhcpv4.MessageType // MessageTypeNone: no reply
	addr  string             // the reply's yiaddr
	log   string             // part of the note
	probe string             // the address to be probed; the test goes on as if nobody had it
}

// TestAddressReply plays RFC 2131's exchanges. testMAC has the reservation 10.77.0.55, otherMAC asks for 10.77.0.52.
func TestAddressReply(t *testing.T) {
	const (
		discover = dhcpv4.MessageTypeDiscover
		offer    = dhcpv4.MessageTypeOffer
		req      = dhcpv4.MessageTypeRequest
		ack      = dhcpv4.MessageTypeAck
		nak      = dhcpv4.MessageTypeNak
		none     = dhcpv4.MessageTypeNone
	)
	first := step{"discover", request(discover, from(otherMAC), wants("10.77.0.52")), offer, "10.77.0.52", "address offered", "10.77.0.52"}
	take := step{"selecting", request(req, from(otherMAC), thisServer, wants("10.77.0.52")), ack, "10.77.0.52", "lease given", ""}
	for name, steps := range map[string][]step{
		"new client": {first, {"again", first.req, offer, "10.77.0.52", "address offered", ""}, take, {"again", take.req, ack, "10.77.0.52", "lease given", ""}},
		"reservation": {
			{"discover", request(discover, wants("10.77.0.52")), offer, "10.77.0.55", "", "10.77.0.55"},
			{"selecting", request(req, thisServer, wants("10.77.0.55")), ack, "10.77.0.55", "lease given", ""},
		},
		"renewing":          {first, take, {"renew", request(req, from(otherMAC), has("10.77.0.52")), ack, "10.77.0.52", "lease given", ""}},
		"init-reboot":       {first, take, {"known", request(req, from(otherMAC), wants("10.77.0.52")), ack, "10.77.0.52", "", ""}},
		"another address":   {first, take, {"known", request(req, from(otherMAC), wants("10.77.0.53")), nak, "", "but has 10.77.0.52", ""}},
		"another network":   {{"unknown", request(req, wants("192.168.1.5")), nak, "", "address refused", ""}},
		"unknown, silent":   {{"init-reboot", request(req, wants("10.77.0.52")), none, "", "knows nothing", ""}, {"renew", request(req, has("10.77.0.52")), none, "", "knows nothing", ""}},
		"unknown, selected": {{"selecting", request(req, thisServer, wants("10.77.0.52")), nak, "", "knows nothing", ""}},
		"other server chosen": {first,
			{"other", request(req, from(otherMAC), otherServer, wants("10.77.0.2")), none, "", "another DHCP server", ""},
			{"free again", request(discover, from(net.HardwareAddr{2, 0, 0, 0, 0, 9}), wants("10.77.0.52")), offer, "10.77.0.52", "", "10.77.0.52"}},
		"decline": {first, take,
			{"decline", request(dhcpv4.MessageTypeDecline, from(otherMAC), thisServer, wants("10.77.0.52")), none, "", "another machine uses it", ""},
			{"renew", request(req, from(otherMAC), thisServer, wants("10.77.0.52")), nak, "", "", ""},
			{"not again", request(discover, from(otherMAC), wants("10.77.0.53")), offer, "10.77.0.53", "", "10.77.0.53"}},
		"decline of a stranger": {first, take,
			{"decline", request(dhcpv4.MessageTypeDecline, thisServer, wants("10.77.0.52")), none, "", "was not given", ""},
			{"still mine", request(req, from(otherMAC), has("10.77.0.52")), ack, "10.77.0.52", "", ""}},
		"release": {first, take,
			{"release", request(dhcpv4.MessageTypeRelease, from(otherMAC), thisServer, has("10.77.0.52")), none, "", "lease released", ""},
			{"same again", request(discover, from(otherMAC)), offer, "10.77.0.52", "", "10.77.0.52"}},
		"release of a stranger": {first, take, {"release", request(dhcpv4.MessageTypeRelease, thisServer, has("10.77.0.52")), none, "", "does not have", ""}},
		"nothing requested":     {{"request", request(req), none, "", "requests no address", ""}},
		"foreign relay":         {{"discover", request(discover, dhcpv4.WithGatewayIP(net.IP{10, 9, 0, 1})), none, "", "no range", ""}},
		"inform without":        {{"inform", request(dhcpv4.MessageTypeInform), none, "", "without the client's address", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			h := serverHandler(t)
			for _, s := range steps {
				s.play(t, h)
			}
		})
	}
}

func (s step) play(t *testing.T, h *handler) {
	t.Helper()
	d := h.handle(s.req, serverPort)
	if d.probe.IsValid() != (s.probe != "") || s.probe != "" && d.probe != addr(s.probe) {
		t.Fatalf("%s: probes %s, want %s", s.name, d.probe, s.probe)
	}
	if d.probe.IsValid() {
		d = h.probed(s.req, d.probe, nil)
	}
	got, yours := dhcpv4.MessageTypeNone, ""
	if d.reply != nil {
		got = d.reply.MessageType()
		if a := addrOf(d.reply.YourIPAddr); a.IsValid() {
			yours = a.String()
		}
	}
	if got != s.reply || yours != s.addr || !strings.Contains(d.note.text+" "+stringOf(d.note.attrs), s.log) {
		t.Fatalf("%s: want %s %s and a log with %q, got:\n%s", s.name, s.reply, s.addr, s.log, describe(t, d))
	}
}

func stringOf(attrs []any) string {
	var b strings.Builder
	for _, a := range attrs {
		if s, ok := a.(string); ok {
			b.WriteString(s + " ")
		}
	}
	return b.String()
}

func TestServerPackets(t *testing.T) {
	discover := dhcpv4.MessageTypeDiscover
	all := opt(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer,
		dhcpv4.OptionHostName, dhcpv4.OptionBroadcastAddress))
	id := opt(dhcpv4.OptClientIdentifier([]byte{1, 0x52, 0x54, 0, 0, 0, 1}))
	for name, req := range map[string]*dhcpv4.DHCPv4{
		"server-plain-all":     request(discover, all, id),
		"server-plain-little":  request(discover, opt(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask))),
		"server-bios":          request(discover, firmware(pxeBIOS, 0)),
		"server-ipxe-rom":      captured(t, "ipxe-rom-discover"),
		"server-ovmf-pxe":      captured(t, "ovmf-pxe-discover"),
		"server-ovmf-http":     captured(t, "ovmf-http-discover"),
		"server-arm64":         request(discover, firmware("PXEClient:Arch:00011:UNDI:003016", 11)),
		"server-phase1":        request(discover, class("BootTorrent")),
		"server-inform":        request(dhcpv4.MessageTypeInform, all, has("10.77.0.200")),
		"server-inform-phase1": request(dhcpv4.MessageTypeInform, class("BootTorrent"), has("10.77.0.200")),
		"server-nak-relayed":   request(dhcpv4.MessageTypeRequest, wants("192.168.1.5"), dhcpv4.WithGatewayIP(net.IP{10, 77, 0, 254})),
	} {
		t.Run(name, func(t *testing.T) {
			h := serverHandler(t)
			d := h.handle(req, serverPort)
			if d.probe.IsValid() {
				d = h.probed(req, d.probe, nil)
			}
			golden(t, name, describe(t, d))
		})
	}
	t.Run("server-bios-ack", func(t *testing.T) {
		h := serverHandler(t)
		h.probed(request(discover), addr("10.77.0.55"), nil)
		d := h.handle(request(dhcpv4.MessageTypeRequest, firmware(pxeBIOS, 0), thisServer, wants("10.77.0.55")), serverPort)
		golden(t, "server-bios-ack", describe(t, d))
	})
}

// An address that another machine answers for is passed over; one that the client itself answers for is offered.
func TestProbeFindsUser(t *testing.T) {
	h := serverHandler(t)
	req := request(dhcpv4.MessageTypeDiscover, from(otherMAC), wants("10.77.0.52"))
	d := h.handle(req, serverPort)
	d = h.probed(req, d.probe, testMAC)
	if d.reply != nil || !d.probe.IsValid() || d.probe == addr("10.77.0.52") {
		t.Fatalf("after a conflict: %s", describe(t, d))
	}
	next := d.probe
	if d = h.probed(req, next, otherMAC); d.reply == nil || addrOf(d.reply.YourIPAddr) != next {
		t.Fatalf("the client answers itself: %s", describe(t, d))
	}
}

func TestExhausted(t *testing.T) {
	h := serverHandler(t)
	for i := range 9 { // ten addresses, one of them reserved for testMAC
		req := request(dhcpv4.MessageTypeDiscover, from(net.HardwareAddr{2, 0, 0, 0, 0, byte(i)}))
		if d := h.handle(req, serverPort); !d.probe.IsValid() {
			t.Fatalf("client %d: %s", i, describe(t, d))
		}
	}
	d := h.handle(request(dhcpv4.MessageTypeDiscover, from(otherMAC)), serverPort)
	if text := describe(t, d); d.reply != nil || !strings.Contains(text, "all 10 addresses from 10.77.0.50 to 10.77.0.59 are in use") || d.note.once == "" {
		t.Error(text)
	}
	if d := h.handle(request(dhcpv4.MessageTypeDiscover), serverPort); d.probe != addr("10.77.0.55") {
		t.Error("the reserved address is gone:", describe(t, d))
	}
}

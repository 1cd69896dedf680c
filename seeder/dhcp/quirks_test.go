package dhcp

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/boottorrent/boottorrent/internal/dhcpwire"
)

// onTheWire takes a request through what a packet goes through, and returns the reply's bytes; nil: none.
func onTheWire(t *testing.T, h *handler, packet []byte, port int) []byte {
	t.Helper()
	req, err := dhcpwire.Read(packet)
	if err != nil {
		t.Fatal(err)
	}
	d := h.handle(req, port)
	if d.probe.IsValid() {
		d = h.probed(req, d.probe, nil)
	}
	if d.reply == nil {
		t.Log(describe(t, d))
		return nil
	}
	b, _ := encode(d.reply, req)
	return b
}

// What firmware sends that the RFCs don't permit, or permit and nobody expects, is answered in both modes.
func TestOddRequestsAreAnswered(t *testing.T) {
	plain := func() *dhcpv4.DHCPv4 { return request(dhcpv4.MessageTypeDiscover, firmware(pxeBIOS, 0)) }
	with := func(mods ...dhcpv4.Modifier) []byte {
		p := plain()
		for _, m := range mods {
			m(p)
		}
		return p.ToBytes()
	}
	end := bytes.LastIndexByte(plain().ToBytes(), 255)
	changed := func(change func(b []byte) []byte) []byte { return change(plain().ToBytes()) }
	packets := map[string][]byte{
		"without END":            plain().ToBytes()[:end],
		"with 00 for END":        changed(func(b []byte) []byte { b[end] = 0; return b }),
		"garbage behind END":     changed(func(b []byte) []byte { return append(b[:end+1], 12, 99, 1) }),
		"padded to 576":          changed(func(b []byte) []byte { return append(b, make([]byte, 576-len(b))...) }),
		"a last option cut off":  changed(func(b []byte) []byte { return append(b[:end], 60, 99, 1) }),
		"hardware address of 16": changed(func(b []byte) []byte { b[2] = 16; return b }),
		"hardware address of 0":  changed(func(b []byte) []byte { b[2] = 0; return b }),
		"hardware type IEEE 802": changed(func(b []byte) []byte { b[1] = 6; return b }),
		"transaction 0":          with(func(p *dhcpv4.DHCPv4) { p.TransactionID = dhcpv4.TransactionID{} }),
		"reserved flags":         with(func(p *dhcpv4.DHCPv4) { p.Flags = 0x7f80 }),
		"an old address":         with(has("10.77.0.9")),
		"messages of 64 bytes":   with(opt(dhcpv4.OptMaxMessageSize(64))),
		"an empty option 97":     with(opt(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, nil))),
		"option 97 without type": with(opt(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, testGUID[1:]))),
		"an empty option 43":     with(opt(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, []byte{}))),
		"garbage in option 43":   with(opt(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, []byte{71, 99, 1}))),
		"no option 94":           with(func(p *dhcpv4.DHCPv4) { p.Options.Del(dhcpv4.OptionClientNetworkInterfaceIdentifier) }),
		"a class and no more":    request(dhcpv4.MessageTypeDiscover, class("PXEClient")).ToBytes(),
		"option 93 of a byte":    with(opt(dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0}))),
		"options in file":        overloaded(1),
		"options in sname":       overloaded(2),
		"options in both":        overloaded(3),
	}
	for name, packet := range packets {
		t.Run(name, func(t *testing.T) {
			for mode, h := range map[string]*handler{"proxy": proxyHandler(), "server": serverHandler(t)} {
				b := onTheWire(t, h, packet, serverPort)
				if b == nil {
					t.Errorf("%s: no answer", mode)
					continue
				}
				reply, err := dhcpv4.FromBytes(b)
				if err != nil {
					t.Fatal(err)
				}
				if reply.BootFileName != "undionly.kpxe" || !bytes.Equal(reply.ClientHWAddr, testMAC) || !bytes.Equal(b[4:8], packet[4:8]) || len(b) < 300 {
					t.Errorf("%s: %d bytes:\n%s", mode, len(b), reply.Summary())
				}
				sent, _ := dhcpwire.Read(packet)
				if want := sent.Options.Get(dhcpv4.OptionClientMachineIdentifier); !bytes.Equal(reply.Options.Get(dhcpv4.OptionClientMachineIdentifier), want) {
					t.Errorf("%s: option 97 came back otherwise than % x", mode, want)
				}
			}
		})
	}
}

// overloaded is a request whose vendor class and architecture stand in the fields that option 52 says, and its type where ever.
func overloaded(value byte) []byte {
	p := request(dhcpv4.MessageTypeDiscover, opt(dhcpv4.OptGeneric(dhcpv4.OptionOptionOverload, []byte{value})))
	b := p.ToBytes()
	field := append([]byte{60, byte(len(pxeBIOS))}, pxeBIOS...)
	if value == 2 {
		copy(b[44:108], append(field, 255))
		return b
	}
	copy(b[108:236], append(field, 255))
	if value == 3 {
		copy(b[44:108], []byte{93, 2, 0, 0, 255})
	}
	return b
}

// A ROM that reads option 67 up to a NUL finds one there, whatever option follows.
func TestBootFileEndsInNUL(t *testing.T) {
	for name, h := range map[string]*handler{"proxy": proxyHandler(), "server": serverHandler(t)} {
		b := onTheWire(t, h, request(dhcpv4.MessageTypeDiscover, firmware(pxeBIOS, 0)).ToBytes(), serverPort)
		for _, text := range []string{"\x43\x0eundionly.kpxe\x00", "\x42\x0a10.77.0.1\x00"} {
			if !bytes.Contains(b[240:], []byte(text)) {
				t.Errorf("%s: %q is not in % x", name, text, b[240:])
			}
		}
		// HTTP boot and iPXE read the option by its length; a NUL would belong to the URL.
		p, err := dhcpv4.FromBytes(onTheWire(t, h, captured(t, "ovmf-http-discover").ToBytes(), serverPort))
		if err != nil || strings.ContainsRune(p.BootFileNameOption(), 0) {
			t.Errorf("%s: the URL is %q, %v", name, p.BootFileNameOption(), err)
		}
	}
}

// A boot item that a ROM chose comes back in the answer of port 4011.
func TestBootItemComesBack(t *testing.T) {
	item := []byte{0x80, 0x05, 0, 0}
	req := request(dhcpv4.MessageTypeRequest, firmware(pxeBIOS, 0), has("10.77.0.101"),
		opt(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, append(append([]byte{71, 4}, item...), 255))))
	p, err := dhcpv4.FromBytes(onTheWire(t, proxyHandler(), req.ToBytes(), pxePort))
	if err != nil {
		t.Fatal(err)
	}
	want := append(append([]byte{6, 1, 8, 71, 4}, item...), 255)
	if got := p.Options.Get(dhcpv4.OptionVendorSpecificInformation); !bytes.Equal(got, want) {
		t.Errorf("option 43 is % x, want % x", got, want)
	}
}

// What gets no answer though somebody waits for it is said once, with the reason; what is nobody's fault is not.
func TestDroppedRequestsAreExplained(t *testing.T) {
	change := func(f func(p *dhcpv4.DHCPv4)) *dhcpv4.DHCPv4 {
		p := request(dhcpv4.MessageTypeDiscover, firmware(pxeBIOS, 0))
		f(p)
		return p
	}
	for want, req := range map[string]*dhcpv4.DHCPv4{
		"by BOOTP":                 change(func(p *dhcpv4.DHCPv4) { p.Options.Del(dhcpv4.OptionDHCPMessageType) }),
		"is not Ethernet's":        change(func(p *dhcpv4.DHCPv4) { p.HWType = iana.HWTypeInfiniband }),
		"is a group's":             change(func(p *dhcpv4.DHCPv4) { p.ClientHWAddr = []byte{255, 255, 255, 255, 255, 255} }),
		"has no hardware address":  change(func(p *dhcpv4.DHCPv4) { p.ClientHWAddr = make([]byte, 6) }),
		"which there is no range":  change(func(p *dhcpv4.DHCPv4) { p.GatewayIPAddr = net.IP{10, 99, 0, 1} }),
		"another DHCP server":      request(dhcpv4.MessageTypeRequest, otherServer, wants("10.77.0.2")),
		"is not supported":         request(dhcpv4.MessageTypeDiscover, firmware("PXEClient:Arch:00010:UNDI:003016", 10)),
		"switched off; remove por": request(dhcpv4.MessageTypeDiscover, firmware(pxeBIOS, 0)),
	} {
		h := serverHandler(t)
		h.boot.NoTFTP = strings.Contains(want, "switched off")
		d := h.handle(req, serverPort)
		if d.probe.IsValid() {
			d = h.probed(req, d.probe, nil)
		}
		if text := describe(t, d); d.note.level < 4 || d.note.once == "" || !strings.Contains(text, want) {
			t.Errorf("want a warning, once, with %q, got %s", want, text)
		}
	}
}

// A reply is never longer than its machine takes; what it can do without goes first, what boots it never.
func TestReplyFits(t *testing.T) {
	h := serverHandler(t)
	for range 70 {
		h.pool.cfg.DNS = append(h.pool.cfg.DNS, addr("9.9.9.9"))
	}
	relay := opt(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, bytes.Repeat([]byte("p"), 40))))
	for size, want := range map[uint16]int{0: 548, 100: 548, 576: 548, 1000: 972, 65535: 1472} {
		req := request(dhcpv4.MessageTypeDiscover, relay, dhcpv4.WithGatewayIP(net.IP{10, 77, 0, 254}))
		firmware(pxeBIOS, 0)(req)
		opt(dhcpv4.OptParameterRequestList(dhcpv4.OptionDomainNameServer, dhcpv4.OptionHostName, dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName))(req)
		if size > 0 {
			opt(dhcpv4.OptMaxMessageSize(size))(req)
		}
		b := onTheWire(t, h, req.ToBytes(), serverPort)
		p, err := dhcpv4.FromBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > want || p.BootFileName == "" || !p.Options.Has(dhcpv4.OptionRelayAgentInformation) || !p.Options.Has(dhcpv4.OptionServerIdentifier) {
			t.Errorf("for a machine that takes %d: %d bytes of %d, %s", size, len(b), want, p.Summary())
		}
		if size == 1000 && len(p.DNS()) < 70 {
			t.Error("what would have fitted was left out")
		}
	}
}

// T1 and T2 are never sent as zero, nor T2 as the whole lease: a client would renew at once, and again.
func TestRenewalTimes(t *testing.T) {
	for _, lease := range []time.Duration{time.Second, 2 * time.Second, 7 * time.Second, 8 * time.Second, time.Minute, time.Hour, 365 * 24 * time.Hour} {
		h := serverHandler(t)
		h.pool.cfg.Lease = lease
		p, err := dhcpv4.FromBytes(onTheWire(t, h, request(dhcpv4.MessageTypeDiscover).ToBytes(), serverPort))
		if err != nil {
			t.Fatal(err)
		}
		const absent = -1
		t1, t2, whole := p.IPAddressRenewalTime(absent), p.IPAddressRebindingTime(absent), p.IPAddressLeaseTime(absent)
		if whole != lease || t1 == 0 || t2 == 0 || t1 != absent && (t1 >= t2 || t2 >= whole) {
			t.Errorf("lease %s: T1 %s, T2 %s, lease %s", lease, t1, t2, whole)
		}
	}
}

// A machine that repeats its DHCPDISCOVER is explained at the third; one that boots is not.
func TestStuckMachines(t *testing.T) {
	discover := func(mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		return request(dhcpv4.MessageTypeDiscover, append([]dhcpv4.Modifier{firmware("PXEClient:Arch:00007:UNDI:003016", 7)}, mods...)...)
	}
	took := func(server dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		return request(dhcpv4.MessageTypeRequest, firmware("PXEClient:Arch:00007:UNDI:003016", 7), server, wants("10.77.0.101"))
	}
	at4011 := captured(t, "ovmf-pxe-request-4011")
	at4011.ClientHWAddr = testMAC
	ipxe := captured(t, "ipxe-snponly-discover")
	ipxe.ClientHWAddr = testMAC
	neighbour := addr("10.77.0.2")
	for name, test := range map[string]struct {
		server   bool
		packets  []*dhcpv4.DHCPv4
		servers  []string
		explains string
	}{
		"no DHCP server":    {false, []*dhcpv4.DHCPv4{discover(), discover(), discover()}, nil, "no DHCP server gave this machine an address; connect one, or set mode: server"},
		"only two":          {false, []*dhcpv4.DHCPv4{discover(), discover()}, nil, ""},
		"takes no offer":    {false, []*dhcpv4.DHCPv4{discover(), discover(), discover()}, []string{"10.77.0.2"}, "though 10.77.0.2 answers"},
		"ignores the proxy": {false, []*dhcpv4.DHCPv4{discover(), took(otherServer), discover(), took(otherServer), discover()}, nil, "ignores the offers of a second server; have that server name it (next server 10.77.0.1, boot file snponly.efi)"},
		"behind a relay":    {false, []*dhcpv4.DHCPv4{discover(), discover(), discover(dhcpv4.WithGatewayIP(net.IP{10, 9, 0, 1}))}, nil, "DHCP server of its network"},
		"server, no taker":  {true, []*dhcpv4.DHCPv4{discover(), discover(), discover()}, nil, "DHCP snooping"},
		"server, no file":   {true, []*dhcpv4.DHCPv4{discover(), took(thisServer), discover(), discover()}, nil, "firewall must be open"},
		"came to 4011":      {false, []*dhcpv4.DHCPv4{discover(), discover(), at4011, discover(), discover()}, nil, ""},
		"iPXE started":      {false, []*dhcpv4.DHCPv4{discover(), discover(), ipxe, discover(), discover()}, nil, ""},
		"no boot client":    {false, []*dhcpv4.DHCPv4{request(1), request(1), request(1), request(1)}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := proxyHandler()
			if test.server {
				h = serverHandler(t)
			}
			said := ""
			for i, p := range test.packets {
				port := serverPort
				if p == at4011 {
					port = pxePort
				}
				d := h.handle(p, port)
				if d.stuck == nil {
					continue
				}
				if i != len(test.packets)-1 {
					t.Errorf("explained after packet %d", i+1)
				}
				if len(test.servers) > 0 {
					said = h.explain(d.stuck, []netip.Addr{neighbour})
				} else {
					said = h.explain(d.stuck, nil)
				}
			}
			if (said == "") != (test.explains == "") || !strings.Contains(said, test.explains) {
				t.Errorf("said %q, want %q", said, test.explains)
			}
		})
	}
}

package dhcp

import (
	"errors"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/boottorrent/boottorrent/seeder/loaders"
)

const pxeBIOS = "PXEClient:Arch:00000:UNDI:002001"

func TestProxyReply(t *testing.T) {
	discover, req, inform := dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeInform
	for _, test := range []struct {
		name string
		req  *dhcpv4.DHCPv4
		port int
	}{
		{"proxy-bios", request(discover, firmware(pxeBIOS, 0)), 67},
		{"proxy-efi-9", request(discover, firmware("PXEClient:Arch:00009:UNDI:003016", 9)), 67},
		{"proxy-bios-relayed", request(discover, firmware(pxeBIOS, 0), dhcpv4.WithGatewayIP([]byte{10, 9, 0, 1}),
			opt(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte("port7"))))), 67},
		{"proxy-ipxe-rom", captured(t, "ipxe-rom-discover"), 67},
		{"proxy-ipxe-snponly", captured(t, "ipxe-snponly-discover"), 67},
		{"proxy-ovmf-pxe", captured(t, "ovmf-pxe-discover"), 67},
		{"proxy-ovmf-pxe-request", captured(t, "ovmf-pxe-request"), 67},
		{"proxy-ovmf-pxe-4011", captured(t, "ovmf-pxe-request-4011"), 4011},
		{"proxy-ovmf-http", captured(t, "ovmf-http-discover"), 67},
		{"proxy-ia32", request(discover, firmware("PXEClient:Arch:00006:UNDI:003016", iana.EFI_IA32)), 67},
		{"proxy-arm64", request(discover, firmware("PXEClient:Arch:00011:UNDI:003016", iana.EFI_ARM64)), 67},
		{"proxy-no-arch", request(discover, class("PXEClient")), 67},
		{"proxy-phase1-discover", request(discover, class("BootTorrent phase 1")), 67},
		{"proxy-phase1-inform", request(inform, class("BootTorrent"), dhcpv4.WithClientIP([]byte{10, 77, 0, 100})), 67},
		{"proxy-plain", request(discover, class("MSFT 5.0")), 67},
		{"proxy-plain-4011", request(req), 4011},
	} {
		t.Run(test.name, func(t *testing.T) {
			golden(t, test.name, describe(t, proxyHandler().handle(test.req, test.port)))
		})
	}
}

// A proxy must never give the impression that it hands out an address.
func TestProxyNeverHandsOutAnAddress(t *testing.T) {
	for _, mt := range []dhcpv4.MessageType{1, 2, 3, 4, 5, 6, 7, 8, 9} {
		for _, vendor := range []string{"", "udhcp 1.35", pxeBIOS, "HTTPClient:Arch:00016:UNDI:003001", "BootTorrent"} {
			for _, port := range []int{67, 4011} {
				req := request(mt, firmware(vendor, iana.EFI_X86_64), dhcpv4.WithClientIP([]byte{10, 77, 0, 9}),
					opt(dhcpv4.OptRequestedIPAddress([]byte{10, 77, 0, 9})))
				reply := proxyHandler().handle(req, port).reply
				if reply == nil {
					continue
				}
				if !strings.Contains(vendor, "Client") && vendor != "BootTorrent" {
					t.Errorf("%s of %q on port %d was answered", mt, vendor, port)
				}
				if addrOf(reply.YourIPAddr).IsValid() || reply.Options.Has(dhcpv4.OptionIPAddressLeaseTime) {
					t.Errorf("%s of %q on port %d was answered with an address", mt, vendor, port)
				}
			}
		}
	}
}

// What is not installed is not offered, and the log says what to install.
func TestMissingLoader(t *testing.T) {
	h := &handler{iface: testIface, boot: Boot{HTTPPort: 80, Choose: func(loaders.Firmware) (loaders.Choice, error) {
		return loaders.Choice{}, errors.New("install the package ipxe")
	}}}
	for _, req := range []*dhcpv4.DHCPv4{
		request(dhcpv4.MessageTypeDiscover, firmware(pxeBIOS, 0)),
		captured(t, "ovmf-pxe-discover"),
		captured(t, "ovmf-http-discover"),
	} {
		d := h.handle(req, serverPort)
		if why, _ := d.note.attrs[1].(string); d.reply != nil || !strings.Contains(why, "install the package ipxe") {
			t.Errorf("%s: %s", req.ClassIdentifier(), describe(t, d))
		}
	}
	// iPXE in a ROM needs none.
	if d := h.handle(captured(t, "ipxe-rom-discover"), serverPort); d.reply == nil {
		t.Error("iPXE got no answer:", describe(t, d))
	}
}

func TestHandleIgnores(t *testing.T) {
	change := func(f func(p *dhcpv4.DHCPv4)) *dhcpv4.DHCPv4 {
		p := request(dhcpv4.MessageTypeDiscover, firmware(pxeBIOS, 0))
		f(p)
		return p
	}
	for name, req := range map[string]*dhcpv4.DHCPv4{
		"a reply":            change(func(p *dhcpv4.DHCPv4) { p.OpCode = dhcpv4.OpcodeBootReply }),
		"BOOTP":              change(func(p *dhcpv4.DHCPv4) { p.Options.Del(dhcpv4.OptionDHCPMessageType) }),
		"InfiniBand":         change(func(p *dhcpv4.DHCPv4) { p.HWType, p.ClientHWAddr = iana.HWTypeInfiniband, nil }),
		"a short address":    change(func(p *dhcpv4.DHCPv4) { p.ClientHWAddr = p.ClientHWAddr[:3] }),
		"a broadcast sender": change(func(p *dhcpv4.DHCPv4) { p.ClientHWAddr = []byte{255, 255, 255, 255, 255, 255} }),
		"no address":         change(func(p *dhcpv4.DHCPv4) { p.ClientHWAddr = make([]byte, 6) }),
	} {
		if d := serverHandler(t).handle(req, serverPort); d.reply != nil || d.probe.IsValid() {
			t.Errorf("%s was answered: %s", name, describe(t, d))
		}
	}
}

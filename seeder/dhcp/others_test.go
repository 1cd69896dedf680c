package dhcp

import (
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/seeder/loaders"
)

// withShim is what firmware gets where shim and GRUB are installed as well.
func withShim(f loaders.Firmware) (loaders.Choice, error) {
	if f.Arch == arch.AMD64 && !f.BIOS && !f.HTTP && !f.IPXE && f.Named {
		return loaders.Choice{File: "shimx64.efi", Secure: true}, nil
	}
	return testChoice(f)
}

// answer is what another DHCP server sends by broadcast.
func answer(t dhcpv4.MessageType, server, next string) *dhcpv4.DHCPv4 {
	p := request(t, opt(dhcpv4.OptServerIdentifier(addr(server).AsSlice())))
	p.OpCode, p.YourIPAddr, p.ServerIPAddr = dhcpv4.OpcodeBootReply, addr("10.77.0.9").AsSlice(), addr(next).AsSlice()
	return p
}

// A proxy offers shim only to a machine whose DHCP server was heard to name the seeder as next server: Debian's GRUB asks nobody else.
func TestProxyOffersShimWhereGRUBFindsIt(t *testing.T) {
	heard := time.Now()
	for name, c := range map[string]struct {
		heard  *dhcpv4.DHCPv4
		at     time.Time
		server bool
		want   string
	}{
		"nothing heard":      {nil, heard, false, "snponly.efi"},
		"the router itself":  {answer(dhcpv4.MessageTypeAck, "10.77.0.2", "10.77.0.2"), heard, false, "snponly.efi"},
		"none":               {answer(dhcpv4.MessageTypeAck, "10.77.0.2", "0.0.0.0"), heard, false, "snponly.efi"},
		"the seeder, acked":  {answer(dhcpv4.MessageTypeAck, "10.77.0.2", "10.77.0.1"), heard, false, "shimx64.efi"},
		"the seeder, offer":  {answer(dhcpv4.MessageTypeOffer, "10.77.0.2", "10.77.0.1"), heard, false, "shimx64.efi"},
		"long ago":           {answer(dhcpv4.MessageTypeAck, "10.77.0.2", "10.77.0.1"), heard.Add(-time.Hour), false, "snponly.efi"},
		"refused":            {answer(dhcpv4.MessageTypeNak, "10.77.0.2", "10.77.0.1"), heard, false, "snponly.efi"},
		"from here":          {answer(dhcpv4.MessageTypeAck, "10.77.0.1", "10.77.0.1"), heard, false, "snponly.efi"},
		"the only server is": {nil, heard, true, "shimx64.efi"},
	} {
		t.Run(name, func(t *testing.T) {
			h := proxyHandler()
			if c.server {
				h = serverHandler(t)
			}
			h.boot.Choose = withShim
			if c.heard != nil {
				h.others.note(c.heard, h.addr(), c.at)
			}
			req := captured(t, "ovmf-pxe-request-4011")
			req.ClientHWAddr = testMAC
			if d := h.handle(req, pxePort); d.reply == nil || d.reply.BootFileName != c.want {
				t.Errorf("want %s, got %s", c.want, describe(t, d))
			}
		})
	}
}

// Never shim behind an iPXE that can't run the script, whatever the network says.
func TestNoShimBehindOldIPXE(t *testing.T) {
	h := serverHandler(t)
	h.boot.Choose = withShim
	old := opt(dhcpv4.OptGeneric(dhcpv4.OptionEtherboot, []byte{0x12, 1, 1})) // without HTTP
	d := h.handle(request(dhcpv4.MessageTypeDiscover, firmware("PXEClient:Arch:00007:UNDI:003016", iana.EFI_X86_64),
		opt(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("iPXE"))), old), serverPort)
	if d.probe.IsValid() {
		d = h.probed(request(dhcpv4.MessageTypeDiscover, firmware("PXEClient:Arch:00007:UNDI:003016", iana.EFI_X86_64),
			opt(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("iPXE"))), old), d.probe, nil)
	}
	if d.reply == nil || d.reply.BootFileName != "snponly.efi" {
		t.Errorf("an old iPXE gets %s", describe(t, d))
	}
}

// Firmware that is told what to load and comes again has refused it, most likely for Secure Boot: the log says so, and what to do.
func TestRefusedFileIsExplained(t *testing.T) {
	at4011 := func(xid byte) *dhcpv4.DHCPv4 {
		p := captured(t, "ovmf-pxe-request-4011")
		p.ClientHWAddr, p.TransactionID[0] = testMAC, xid
		return p
	}
	efi := func(mt dhcpv4.MessageType, vendor string, a iana.Arch, xid byte, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		p := request(mt, append(mods, firmware(vendor, a))...)
		p.TransactionID[0] = xid
		return p
	}
	const discover, req = dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest
	pxe := func(xid byte) *dhcpv4.DHCPv4 {
		return efi(discover, "PXEClient:Arch:00007:UNDI:003016", iana.EFI_X86_64, xid)
	}
	takes := func(xid byte) *dhcpv4.DHCPv4 {
		return efi(req, "PXEClient:Arch:00007:UNDI:003016", iana.EFI_X86_64, xid, opt(dhcpv4.OptServerIdentifier(addr("10.77.0.2").AsSlice())))
	}
	http := func(mt dhcpv4.MessageType, xid byte) *dhcpv4.DHCPv4 {
		return efi(mt, "HTTPClient:Arch:00016:UNDI:003001", iana.EFI_X86_64_HTTP, xid, opt(dhcpv4.OptServerIdentifier(addr("10.77.0.2").AsSlice())))
	}
	phase1 := request(discover, class("BootTorrent"))
	for name, c := range map[string]struct {
		choose   func(loaders.Firmware) (loaders.Choice, error)
		packets  []*dhcpv4.DHCPv4
		explains []string
	}{
		"iPXE, no shim here":       {testChoice, []*dhcpv4.DHCPv4{pxe(1), takes(1), at4011(2), pxe(3), takes(3), at4011(4)}, []string{"load snponly.efi", "install shim-signed and grub-efi-amd64-signed"}},
		"iPXE, another server":     {withShim, []*dhcpv4.DHCPv4{pxe(1), takes(1), at4011(2), pxe(3), takes(3), at4011(4)}, []string{"(10.77.0.2)", "set 10.77.0.1 there (siaddr; dnsmasq: dhcp-boot=shimx64.efi,,10.77.0.1)"}},
		"asked twice":              {withShim, []*dhcpv4.DHCPv4{pxe(1), takes(1), at4011(2), at4011(2)}, nil},
		"it started between":       {withShim, []*dhcpv4.DHCPv4{pxe(1), at4011(2), phase1, pxe(3), at4011(4)}, nil},
		"HTTP, PXE would go":       {withShim, []*dhcpv4.DHCPv4{http(discover, 1), http(req, 1), http(discover, 2), http(req, 2)}, []string{"load boottorrent.efi", "from HTTP boot to PXE, by which it gets shimx64.efi"}},
		"HTTP, nothing else there": {testChoice, []*dhcpv4.DHCPv4{http(discover, 1), http(req, 1), http(discover, 2), http(req, 2)}, []string{"site's own key", "install shim-signed"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := proxyHandler()
			h.boot.Choose = c.choose
			said := ""
			for _, p := range c.packets {
				port := serverPort
				if pxeRequest := strings.HasPrefix(p.ClassIdentifier(), "PXE") && p.MessageType() == req; pxeRequest && p.TransactionID[0]%2 == 0 {
					port = pxePort
				}
				if d := h.handle(p, port); d.stuck != nil {
					said = h.explain(d.stuck, nil)
				}
			}
			if len(c.explains) == 0 && said != "" {
				t.Errorf("it says: %s", said)
			}
			for _, want := range c.explains {
				if !strings.Contains(said, want) {
					t.Errorf("want %q in: %s", want, said)
				}
			}
		})
	}
}

// UEFI HTTP boot is told something else when it comes again without having started what it was told.
func TestFirmwareThatComesAgainIsToldAnother(t *testing.T) {
	http := func(mt dhcpv4.MessageType, xid byte) *dhcpv4.DHCPv4 {
		p := request(mt, opt(dhcpv4.OptServerIdentifier(addr("10.77.0.2").AsSlice())), firmware("HTTPClient:Arch:00016:UNDI:003001", iana.EFI_X86_64_HTTP))
		p.TransactionID[0] = xid
		return p
	}
	h := proxyHandler()
	h.boot.Choose = func(f loaders.Firmware) (loaders.Choice, error) {
		return loaders.Choice{File: []string{"httpboot.img", "boottorrent.efi"}[f.Told%2]}, nil
	}
	offered := func(xid byte) string {
		t.Helper()
		d := h.handle(http(dhcpv4.MessageTypeDiscover, xid), serverPort)
		if d.reply == nil {
			t.Fatal("there is no offer")
		}
		h.handle(http(dhcpv4.MessageTypeRequest, xid), serverPort)
		return d.reply.BootFileName[strings.LastIndexByte(d.reply.BootFileName, '/')+1:]
	}
	for xid, want := range []string{"httpboot.img", "boottorrent.efi", "httpboot.img"} {
		if got := offered(byte(xid)); got != want {
			t.Errorf("attempt %d: it is told %s, want %s", xid+1, got, want)
		}
	}
	if got := offered(2); got != "httpboot.img" {
		t.Errorf("asked once more by the same request, it is told %s", got)
	}
	h.handle(request(dhcpv4.MessageTypeDiscover, class("BootTorrent")), serverPort)
	if got := offered(9); got != "httpboot.img" {
		t.Errorf("after phase 1 has started, it is told %s", got)
	}
}

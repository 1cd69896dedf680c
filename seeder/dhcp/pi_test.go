package dhcp

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A Raspberry Pi's request, as in raspberrypi/firmware's issue 871 and for one whose address is another's, is no PC's: where the site has
// no files for it, it is not answered, and one line says what to run.
func TestRaspberryPi(t *testing.T) {
	serial := []byte{0, 0x61, 0x0f, 0x69, 0x01, 0x61, 0x0f, 0x69, 0x01, 0x61, 0x0f, 0x69, 0x01, 0x61, 0x0f, 0x69, 0x01}
	pi := func(mac net.HardwareAddr, guid []byte) *dhcpv4.DHCPv4 {
		return request(dhcpv4.MessageTypeDiscover, firmware(pxeBIOS, 0), from(mac), opt(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, guid)))
	}
	for name, req := range map[string]*dhcpv4.DHCPv4{
		"a Pi 3":         captured(t, "pi3-discover"),
		"a Pi 4":         captured(t, "pi4-discover"),
		"a Pi 5":         captured(t, "pi5-discover"),
		"by its address": pi(net.HardwareAddr{0xb8, 0x27, 0xeb, 0x0f, 0x69, 1}, testGUID),
		"by its serial":  pi(testMAC, serial),
		"of high bytes":  pi(testMAC, append([]byte{0}, bytes.Repeat([]byte{0x9f, 0x83, 0xa1, 0xb2}, 4)...)),
		"by its GUID":    pi(testMAC, append([]byte{0}, "RPi4\x11\x31\xc0\x00\x01\x02\x03\x04\x05\x06\x07\x08"...)),
	} {
		h := proxyHandler()
		d := h.handle(req, serverPort)
		if text := describe(t, d); d.reply != nil || !strings.Contains(text, "mkimage pi DIR --firmware FOLDER") || d.note.every != time.Hour {
			t.Errorf("%s: %s", name, text)
		}
		for range 5 {
			if d := h.handle(req, serverPort); d.stuck != nil {
				t.Errorf("%s: it is said to be stuck", name)
			}
		}
		// With a range it is still a machine that may have an address.
		if b := onTheWire(t, serverHandler(t), req.ToBytes(), serverPort); b == nil {
			t.Errorf("%s: no address", name)
		} else if p, _ := dhcpv4.FromBytes(b); p.BootFileName != "" {
			t.Errorf("%s: it was offered %q", name, p.BootFileName)
		}
	}
}

// withPi makes a handler of a site that has the files for Raspberry Pis.
func withPi(h *handler) *handler {
	h.boot.Pi = func() bool { return true }
	return h
}

// Where there are files for it, a Pi gets an offer that it takes, in both modes: with its menu in option 43, the address of the TFTP server
// without a NUL, and no boot file of a PC.
func TestRaspberryPiIsOffered(t *testing.T) {
	for _, model := range []string{"pi3", "pi4", "pi5"} {
		for mode, h := range map[string]*handler{"proxy": withPi(proxyHandler()), "server": withPi(serverHandler(t))} {
			req := captured(t, model+"-discover")
			d := h.handle(req, serverPort)
			if d.probe.IsValid() {
				d = h.probed(req, d.probe, nil)
			}
			name := mode + "-" + model
			golden(t, name, describe(t, d))
			if d.reply == nil {
				t.Fatal(name, "was not answered")
			}
			wire, _ := encode(d.reply, req)
			p, err := dhcpv4.FromBytes(wire)
			if err != nil {
				t.Fatal(err)
			}
			if menu := p.Options.Get(dhcpv4.OptionVendorSpecificInformation); !bytes.Contains(menu, []byte("Raspberry Pi Boot")) {
				t.Errorf("%s: option 43 is %q", name, menu)
			}
			if server := p.Options.Get(dhcpv4.OptionTFTPServerName); string(server) != "10.77.0.1" || !p.ServerIPAddr.Equal(net.IP{10, 77, 0, 1}) {
				t.Errorf("%s: the TFTP server is %q, %s", name, server, p.ServerIPAddr)
			}
			if p.BootFileName != "" || p.Options.Has(dhcpv4.OptionBootfileName) || p.ClassIdentifier() != "PXEClient" {
				t.Errorf("%s: %s", name, p.Summary())
			}
		}
	}
}

// A Pi whose firmware names no vendor class when it takes its address is told the same in the DHCPACK. A system that runs on it, or
// UEFI firmware for it, is served as any other.
func TestRaspberryPiAfterTheOffer(t *testing.T) {
	h := withPi(serverHandler(t))
	req := captured(t, "pi4-discover")
	offered := h.probed(req, h.handle(req, serverPort).probe, nil).reply
	req.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeRequest))
	req.UpdateOption(dhcpv4.OptServerIdentifier(testIface.Addr.Addr().AsSlice()))
	req.UpdateOption(dhcpv4.OptRequestedIPAddress(offered.YourIPAddr))
	req.Options.Del(dhcpv4.OptionClassIdentifier)
	ack := h.handle(req, serverPort).reply
	if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck || !ack.Options.Has(dhcpv4.OptionVendorSpecificInformation) {
		t.Errorf("the request without a class got %v", ack)
	}
	linux := request(dhcpv4.MessageTypeDiscover, from(req.ClientHWAddr))
	if c := identify(linux); c.kind != plain || c.pi {
		t.Errorf("Linux on a Pi is taken for %s", c.kind)
	}
	uefi := request(dhcpv4.MessageTypeDiscover, from(req.ClientHWAddr), firmware("PXEClient:Arch:00011:UNDI:003016", 11))
	if c := identify(uefi); c.pi || c.kind != pxe || c.arch != 11 {
		t.Errorf("UEFI on a Pi is taken for %+v", c)
	}
}

// A Pi can't do without TFTP, and the log says so.
func TestRaspberryPiWithoutTFTP(t *testing.T) {
	h := withPi(proxyHandler())
	h.boot.NoTFTP = true
	if text := describe(t, h.handle(captured(t, "pi4-discover"), serverPort)); !strings.Contains(text, "ports: tftp: 0") {
		t.Error(text)
	}
}

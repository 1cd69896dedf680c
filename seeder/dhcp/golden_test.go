package dhcp

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/loaders"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	testIface = Interface{Name: "eth0", Index: 2, Addr: netip.MustParsePrefix("10.77.0.1/24")}
	testBoot  = Boot{HTTPPort: 8080, Choose: testChoice}
	testMAC   = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	otherMAC  = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 2}
	testGUID  = append([]byte{0}, "0123456789abcdef"...)
	testStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func testSite() site.DHCP {
	return site.DHCP{
		Mode: site.DHCPServer, First: addr("10.77.0.50"), Last: addr("10.77.0.59"), Lease: time.Hour,
		Router: addr("10.77.0.254"), DNS: []netip.Addr{addr("10.77.0.253"), addr("9.9.9.9")},
		Reservations: []site.Reservation{{MAC: testMAC, Address: addr("10.77.0.55"), Hostname: "desk1"}},
	}
}

// testClock is a time that a test moves; jumped is by how much the machine's clock has jumped.
type testClock struct {
	t      time.Time
	jumped time.Duration
}

func (c *testClock) clock() clock {
	return clock{steady: func() time.Time { return c.t }, wall: func() time.Time { return c.t.Add(c.jumped) }}
}

func testPool(t testing.TB, cfg site.DHCP, c *testClock) *pool {
	t.Helper()
	p, err := newPool(cfg, testIface.Addr, []netip.Addr{testIface.Addr.Addr()}, c.clock())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func proxyHandler() *handler { return &handler{iface: testIface, boot: testBoot} }

func serverHandler(t testing.TB) *handler {
	return &handler{iface: testIface, boot: testBoot, pool: testPool(t, testSite(), &testClock{t: testStart})}
}

// captured reads a request recorded from real firmware (testdata/README.md).
func captured(t testing.TB, name string) *dhcpv4.DHCPv4 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	p, err := dhcpv4.FromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// request makes a request of a given type.
func request(t dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	p := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: testMAC,
		TransactionID: dhcpv4.TransactionID{1, 2, 3, 4}, Options: dhcpv4.Options{},
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
	}
	p.UpdateOption(dhcpv4.OptMessageType(t))
	for _, m := range mods {
		m(p)
	}
	return p
}

func opt(o dhcpv4.Option) dhcpv4.Modifier { return dhcpv4.WithOption(o) }

func class(s string) dhcpv4.Modifier { return opt(dhcpv4.OptClassIdentifier(s)) }

// firmware makes a request that of a boot client.
func firmware(vendorClass string, arch iana.Arch) dhcpv4.Modifier {
	return func(p *dhcpv4.DHCPv4) {
		class(vendorClass)(p)
		opt(dhcpv4.OptClientArch(arch))(p)
		opt(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, testGUID))(p)
		opt(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionVendorSpecificInformation,
			dhcpv4.OptionClassIdentifier, dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName))(p)
	}
}

// describe writes a decision as text: what is logged, and the reply after a trip over the wire.
func describe(t *testing.T, d decision) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "log: %s %s %v\n", d.note.level, d.note.text, d.note.attrs)
	if d.probe.IsValid() {
		fmt.Fprintf(&b, "probe: %s\n", d.probe)
	}
	if d.reply == nil {
		return b.String() + "no reply\n"
	}
	wire, err := dhcpv4.FromBytes(d.reply.ToBytes())
	if err != nil {
		t.Fatalf("the reply can't be parsed: %v", err)
	}
	b.WriteString(strings.ReplaceAll(wire.Summary(), "\x00", `\0`))
	return b.String()
}

// golden compares text with testdata/name.golden.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with: go test ./seeder/dhcp -update)", err)
	}
	if !bytes.Equal([]byte(text), want) {
		t.Errorf("differs from %s (go test -update writes it anew):\n%s", path, text)
	}
}

// testChoice is what firmware gets where only the package ipxe is installed, and what is built of the client OS is there for both
// architectures.
func testChoice(f loaders.Firmware) (loaders.Choice, error) {
	switch {
	case f.BIOS:
		return loaders.Choice{File: loaders.BIOS}, nil
	case f.Arch == arch.ARM64:
		return loaders.Choice{File: "arm64/boottorrent.efi"}, nil
	case f.HTTP:
		return loaders.Choice{File: "boottorrent.efi"}, nil
	}
	return loaders.Choice{File: loaders.SNP}, nil
}

package network

import (
	"encoding/hex"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/internal/seederurl"
)

var testMAC = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}

// reply makes a server's message.
func reply(t testing.TB, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	p, err := dhcpv4.New(append([]dhcpv4.Modifier{
		func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply },
		dhcpv4.WithHwAddr(testMAC), dhcpv4.WithMessageType(kind),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP{10, 0, 0, 1})),
	}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func yours(ip ...byte) dhcpv4.Modifier { return dhcpv4.WithYourIP(net.IP(ip)) }

func file(url string) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptBootFileName(url)) }

func TestDiscoverSaysWhoWeAre(t *testing.T) {
	id := identity{mac: testMAC, uuid: "4c4c4544-0042-3010-8058-b9c04f333832", hostname: "node7"}
	p, err := dhcpv4.FromBytes(id.discover().ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(p.GetOneOption(dhcpv4.OptionClientIdentifier)); got != "01525400123456" {
		t.Errorf("client identifier %s", got)
	}
	if got := p.ClassIdentifier(); !strings.HasPrefix(got, "BootTorrent:") || got == "BootTorrent:" {
		t.Errorf("vendor class %q", got)
	}
	if got := hex.EncodeToString(p.GetOneOption(dhcpv4.OptionClientMachineIdentifier)); got != "0044454c4c420010308058b9c04f333832" {
		t.Errorf("machine identifier %s", got)
	}
	if p.HostName() != "node7" || p.MessageType() != dhcpv4.MessageTypeDiscover || p.IsBroadcast() {
		t.Errorf("name %q, type %v, flags %v", p.HostName(), p.MessageType(), p.FlagsToString())
	}
	for _, code := range []uint8{1, 3, 6, 12, 26, 43, 51, 54, 66, 67, 121} {
		if !p.IsOptionRequested(dhcpv4.GenericOptionCode(code)) {
			t.Errorf("option %d is not asked for", code)
		}
	}
	anonymous := identity{mac: testMAC, uuid: "not a uuid"}.discover()
	if anonymous.Options.Has(dhcpv4.OptionClientMachineIdentifier) || anonymous.Options.Has(dhcpv4.OptionHostName) {
		t.Errorf("says more than it knows: %s", anonymous.Summary())
	}
}

func TestOffers(t *testing.T) {
	server := reply(t, dhcpv4.MessageTypeOffer, yours(10, 0, 0, 7), dhcpv4.WithServerIP(net.IP{10, 0, 0, 1}))
	other := reply(t, dhcpv4.MessageTypeOffer, yours(10, 0, 0, 8))
	seeder := reply(t, dhcpv4.MessageTypeOffer, yours(10, 0, 0, 7), file("http://10.0.0.2:8080"))
	proxy := reply(t, dhcpv4.MessageTypeOffer, dhcpv4.WithServerIP(net.IP{10, 0, 0, 2}), file("http://10.0.0.2:8080"))
	empty := reply(t, dhcpv4.MessageTypeOffer)
	nameless := reply(t, dhcpv4.MessageTypeOffer, yours(10, 0, 0, 7), dhcpv4.WithoutOption(dhcpv4.OptionServerIdentifier))
	ack := reply(t, dhcpv4.MessageTypeAck, yours(10, 0, 0, 7))
	for _, tt := range []struct {
		name          string
		in            []*dhcpv4.DHCPv4
		address, boot *dhcpv4.DHCPv4
		complete      bool
	}{
		{"a server alone may have a proxy beside it", []*dhcpv4.DHCPv4{server}, server, nil, false},
		{"server, then proxy", []*dhcpv4.DHCPv4{server, proxy}, server, proxy, true},
		{"proxy, then server", []*dhcpv4.DHCPv4{proxy, server}, server, proxy, true},
		{"a proxy alone is not enough", []*dhcpv4.DHCPv4{proxy}, nil, proxy, false},
		{"a seeder that hands out addresses", []*dhcpv4.DHCPv4{seeder}, seeder, nil, true},
		{"the first of two servers", []*dhcpv4.DHCPv4{server, other}, server, nil, false},
		{"what is no offer", []*dhcpv4.DHCPv4{empty, nameless, ack}, nil, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o offers
			for _, p := range tt.in {
				o.add(p)
			}
			if o.address != tt.address || o.boot != tt.boot || o.complete() != tt.complete {
				t.Errorf("address %v, boot %v, complete %v", o.address, o.boot, o.complete())
			}
		})
	}
}

func TestNewLease(t *testing.T) {
	full := reply(t, dhcpv4.MessageTypeAck, yours(10, 0, 0, 7), dhcpv4.WithServerIP(net.IP{10, 0, 0, 1}),
		dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IP{10, 0, 0, 254}), dhcpv4.WithDNS(net.IP{10, 0, 0, 53}),
		dhcpv4.WithLeaseTime(3600), dhcpv4.WithOption(dhcpv4.OptHostName("node7")), dhcpv4.WithOption(dhcpv4.OptDomainName("lab.example")),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x05, 0x78})), file("undionly.kpxe\x00"))
	proxy := reply(t, dhcpv4.MessageTypeOffer, dhcpv4.WithServerIP(net.IP{10, 0, 0, 2}), file("http://10.0.0.2:8080"))
	want := Lease{
		Interface: "eth0", MAC: testMAC, Addr: netip.MustParsePrefix("10.0.0.7/24"), Gateway: netip.MustParseAddr("10.0.0.254"),
		DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53")}, Hostname: "node7", Domain: "lab.example", MTU: 1400,
		Server: netip.MustParseAddr("10.0.0.1"), NextServer: netip.MustParseAddr("10.0.0.1"), BootFile: "undionly.kpxe",
		Duration: time.Hour, Renew: 30 * time.Minute, Rebind: 52*time.Minute + 30*time.Second,
	}
	got, err := newLease("eth0", testMAC, full, offers{address: full})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	got, err = newLease("eth0", testMAC, full, offers{address: full, boot: proxy})
	if err != nil || got.NextServer.String() != "10.0.0.2" || got.BootFile != "http://10.0.0.2:8080" {
		t.Errorf("with a proxy: %v, %+v", err, got)
	}

	bare := reply(t, dhcpv4.MessageTypeAck, yours(192, 168, 1, 7))
	if got, err = newLease("eth0", testMAC, bare, offers{}); err != nil || got.Addr.String() != "192.168.1.7/24" || got.Duration != forever {
		t.Errorf("with next to nothing: %v, %+v", err, got)
	}
}

func TestNewLeaseRoutes(t *testing.T) {
	// RFC 3442: 0.0.0.0/0 by 10.0.0.254, 172.16.0.0/12 by 10.0.0.253; the router option is then not for us.
	classless := []byte{0, 10, 0, 0, 254, 12, 172, 16, 10, 0, 0, 253}
	ack := reply(t, dhcpv4.MessageTypeAck, yours(10, 0, 0, 7), dhcpv4.WithRouter(net.IP{10, 0, 0, 9}),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, classless)))
	l, err := newLease("eth0", testMAC, ack, offers{})
	want := []Route{{netip.MustParsePrefix("172.16.0.0/12"), netip.MustParseAddr("10.0.0.253")}}
	if err != nil || l.Gateway.String() != "10.0.0.254" || !reflect.DeepEqual(l.Routes, want) {
		t.Errorf("%v, gateway %v, routes %v", err, l.Gateway, l.Routes)
	}
}

func TestNewLeaseRefuses(t *testing.T) {
	for name, ack := range map[string]*dhcpv4.DHCPv4{
		"no address":        reply(t, dhcpv4.MessageTypeAck),
		"a loopback one":    reply(t, dhcpv4.MessageTypeAck, yours(127, 0, 0, 1)),
		"a multicast one":   reply(t, dhcpv4.MessageTypeAck, yours(224, 0, 0, 1)),
		"a mask with holes": reply(t, dhcpv4.MessageTypeAck, yours(10, 0, 0, 7), dhcpv4.WithNetmask(net.IPMask{255, 0, 255, 0})),
		"a reserved one":    reply(t, dhcpv4.MessageTypeAck, yours(240, 0, 0, 7)),
	} {
		if l, err := newLease("eth0", testMAC, ack, offers{}); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// The first minute of a port that forwards only after 50 s: it must be asked soon after.
func TestPaceSurvivesSpanningTree(t *testing.T) {
	for _, opens := range []time.Duration{30 * time.Second, 40 * time.Second, 50 * time.Second} {
		asked := time.Duration(0)
		for n := 1; asked < opens; n++ {
			asked += pace(n)
		}
		if late := asked - opens; late > 4500*time.Millisecond {
			t.Errorf("a port that opens after %v is asked %v later", opens, late)
		}
	}
}

func TestHostname(t *testing.T) {
	for in, want := range map[string]string{"node7": "node7", "lab.example.": "lab.example", "a\nb": "", "a b": "", strings.Repeat("a", 254): ""} {
		if got := hostname(in); got != want {
			t.Errorf("hostname(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestVLANName(t *testing.T) {
	for parent, want := range map[string]string{"eth0": "eth0.5", "enx00e04c680001": "x00e04c680001.5"} {
		if got := vlanName(parent, 5); got != want || len(got) > 15 {
			t.Errorf("vlanName(%q, 5) = %q, want %q", parent, got, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add(reply(f, dhcpv4.MessageTypeOffer, yours(10, 0, 0, 7), file("http://10.0.0.2:8080")).ToBytes())
	f.Add(reply(f, dhcpv4.MessageTypeAck, yours(10, 0, 0, 7), dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithLeaseTime(60)).ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parseReply(b, testMAC)
		if !ok {
			return
		}
		var o offers
		o.add(p)
		l, err := newLease("eth0", testMAC, p, o)
		if err != nil {
			return
		}
		if !l.Addr.Addr().Is4() || l.Addr.Bits() == 0 || l.Duration <= 0 || l.Renew > l.Rebind || l.Rebind > l.Duration {
			t.Errorf("believed %+v", l)
		}
		if strings.ContainsAny(l.Domain+l.Hostname, " \n\x00") {
			t.Errorf("names %q and %q", l.Domain, l.Hostname)
		}
	})
}

// What a seeder answers in either mode is taken, and no other server's answer.
func TestSeederIn(t *testing.T) {
	class := dhcpv4.WithOption(dhcpv4.OptClassIdentifier("BootTorrent"))
	for name, tt := range map[string]struct {
		reply *dhcpv4.DHCPv4
		want  string
	}{
		"a seeder":             {reply(t, dhcpv4.MessageTypeAck, class, file("http://10.0.0.2:8080")), "http://10.0.0.2:8080"},
		"an offer":             {reply(t, dhcpv4.MessageTypeOffer, class, file("http://10.0.0.2:8080")), ""},
		"another server":       {reply(t, dhcpv4.MessageTypeAck, file("http://10.0.0.2/boot.ipxe")), ""},
		"no URL":               {reply(t, dhcpv4.MessageTypeAck, class, file("undionly.kpxe")), ""},
		"a URL without a host": {reply(t, dhcpv4.MessageTypeAck, class, file("http://:80")), ""},
	} {
		if base, ok := seederIn(tt.reply); base != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, base, ok, tt.want)
		}
	}
}

// With one lost message and a second seeder that is slower, both are found.
func TestSeedersAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, network := net.Pipe()
		c := converse(packets{node}, nil, identity{mac: testMAC})
		defer c.Close()
		defer network.Close()
		message := c.id.inform(Lease{Addr: netip.MustParsePrefix("10.0.0.7/24")})
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			asked := make([]byte, maxMessage)
			for range 2 { // the first one is lost
				n, err := network.Read(asked)
				if err != nil {
					return
				}
				asked = asked[:n]
			}
			p, err := dhcpv4.FromBytes(asked)
			if err != nil || !p.ClientIPAddr.Equal(net.IP{10, 0, 0, 7}) || p.MessageType() != dhcpv4.MessageTypeInform {
				t.Errorf("asked %v, %v", p, err)
				return
			}
			class := dhcpv4.WithOption(dhcpv4.OptClassIdentifier("BootTorrent"))
			for _, url := range []string{"http://10.0.0.3:8080", "http://10.0.0.3:8080", "http://10.0.0.2:8080"} {
				answer := reply(t, dhcpv4.MessageTypeAck, class, file(url), dhcpv4.WithTransactionID(p.TransactionID))
				if _, err := network.Write(answer.ToBytes()); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond) // of the test's own time
			}
		}()
		got := c.seeders(t.Context(), message)
		if want := []string{"http://10.0.0.2:8080", "http://10.0.0.3:8080"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		<-answered
	})
}

// packets makes a packet connection of a pipe, which keeps messages apart.
type packets struct{ net.Conn }

func (p packets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := p.Read(b)
	return n, nil, err
}

func (p packets) WriteTo(b []byte, _ net.Addr) (int, error) { return p.Write(b) }

func FuzzSeederIn(f *testing.F) {
	class := dhcpv4.WithOption(dhcpv4.OptClassIdentifier("BootTorrent"))
	f.Add(reply(f, dhcpv4.MessageTypeAck, class, file("http://10.0.0.2:8080")).ToBytes())
	f.Add(reply(f, dhcpv4.MessageTypeAck, class, file("https://[fd00::1]/x")).ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parseReply(b, testMAC)
		if !ok {
			return
		}
		if base, ok := seederIn(p); ok && (!seederurl.HasScheme(base) || strings.ContainsAny(base, " \n\x00\x1b")) {
			t.Errorf("believed %q", base)
		}
	})
}

func TestLeaseTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Hour: "1h", 12 * time.Hour: "12h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 30 * time.Second: "30s",
		time.Hour + time.Second: "1h0m1s", forever: "ever",
	} {
		if got := leaseTime(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

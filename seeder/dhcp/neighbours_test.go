package dhcp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

// A DHCP server is found in the network and on this machine, and none where there is none.
func TestNeighbours(t *testing.T) {
	for name, test := range map[string]struct {
		on   func(r *room) string
		want []netip.Addr
	}{
		"none":                {nil, nil},
		"on another machine":  {func(r *room) string { return r.other }, []netip.Addr{addr("10.77.0.2")}},
		"on this machine too": {func(r *room) string { return r.seeder }, []netip.Addr{addr("10.77.0.1")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			if test.on != nil {
				r.dnsmasq(test.on(r))
			}
			err := r.in(r.seeder, func() error {
				got, err := Neighbours(t.Context(), Interface{Name: "eth0", Addr: testIface.Addr}, time.Second)
				// On a busy machine an offer may take longer than the search.
				for end := time.Now().Add(need.Patience); err == nil && len(got) < len(test.want) && time.Now().Before(end); {
					got, err = Neighbours(t.Context(), Interface{Name: "eth0", Addr: testIface.Addr}, time.Second)
				}
				if len(got) == 1 && got[0].Addr != addr("10.77.0.1") && got[0].Next != got[0].Addr { // dnsmasq names itself
					t.Errorf("%s names the next server %s", got[0].Addr, got[0].Next)
				}
				if !slices.Equal(addrsOf(got), test.want) {
					t.Errorf("found %v, want %v", got, test.want)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func addrsOf(found []Neighbour) (addrs []netip.Addr) {
	for _, n := range found {
		addrs = append(addrs, n.Addr)
	}
	return addrs
}

// A DHCP server that is bound to another interface of this machine, as libvirt's dnsmasq is to its bridge, is none of this network.
func TestNeighboursElsewhere(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.run("ip", "-n", r.seeder, "link", "add", "virbr0", "type", "bridge")
	r.run("ip", "-n", r.seeder, "addr", "add", "10.78.0.1/24", "dev", "virbr0")
	r.run("ip", "-n", r.seeder, "link", "set", "virbr0", "up")
	r.dnsmasq(r.seeder, "--interface=virbr0", "--bind-interfaces", "--except-interface=lo", "--dhcp-range=10.78.0.100,10.78.0.150")
	for name, want := range map[string][]netip.Addr{"eth0": nil, "virbr0": {addr("10.78.0.1")}} {
		err := r.in(r.seeder, func() error {
			own := map[string]string{"eth0": "10.77.0.1/24", "virbr0": "10.78.0.1/24"}[name]
			got, err := Neighbours(t.Context(), Interface{Name: name, Addr: netip.MustParsePrefix(own)}, time.Second)
			if !slices.Equal(addrsOf(got), want) {
				t.Errorf("on %s found %v, want %v", name, got, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A seeder that hands out addresses beside another server says so as soon as it starts.
func TestServerBesideServerIsLoud(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.dnsmasq(r.other)
	log, _ := r.serve(testSite(), filepath.Join(t.TempDir(), "leases.db"))
	log.wait(t, "level=ERROR", "another DHCP server", "servers=10.77.0.2", "mode: proxy")
}

// Firmware that repeats its DHCPDISCOVER in a network without a DHCP server is the seeder's first sign that there is none.
func TestProxyWithoutServerSaysSo(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	log, _ := r.serve(site.DHCP{Mode: site.DHCPProxy}, "")
	r.run("ip", "-n", r.client, "addr", "add", "10.77.0.9/24", "dev", "eth0") // for the packets; the firmware has none
	for range stuckAfter {
		r.send(r.client, request(dhcpv4.MessageTypeDiscover, firmware(pxeBIOS, 0)), "10.77.0.9:68", "10.77.0.1:67")
	}
	log.wait(t, "level=WARN", "again and again", "no DHCP server gave this machine an address; connect one, or set mode: server")
}

// send sends a packet from a namespace.
func (r *room) send(ns string, p *dhcpv4.DHCPv4, from, to string) {
	r.t.Helper()
	err := r.in(ns, func() error {
		conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write(p.ToBytes())
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// Relays that send to the network's own broadcast address are answered, at the address they say they have.
func TestRelayedToDirectedBroadcast(t *testing.T) {
	for _, mode := range []site.DHCPMode{site.DHCPProxy, site.DHCPServer} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			cfg := testSite()
			cfg.Mode = mode
			r.serve(cfg, filepath.Join(t.TempDir(), "leases.db"))
			err := r.in(r.other, func() error {
				conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IP{10, 77, 0, 2}, Port: serverPort})
				if err != nil {
					return err
				}
				defer conn.Close()
				req := request(dhcpv4.MessageTypeDiscover, firmware(pxeBIOS, 0), dhcpv4.WithGatewayIP(net.IP{10, 77, 0, 2}))
				// As machines do, it asks again where nothing comes: a datagram may be lost.
				buf, n, from := make([]byte, 2048), 0, netip.AddrPort{}
				for giveUp := time.Now().Add(need.Patience); n == 0; {
					if _, err := conn.WriteToUDP(req.ToBytes(), &net.UDPAddr{IP: net.IP{10, 77, 0, 255}, Port: serverPort}); err != nil {
						return err
					}
					if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
						return err
					}
					if n, from, err = conn.ReadFromUDPAddrPort(buf); err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(giveUp)) {
						return err
					}
				}
				p, err := dhcpv4.FromBytes(buf[:n])
				if err == nil && (p.BootFileName != "undionly.kpxe" || from.Addr() != testIface.Addr.Addr()) {
					err = errors.New(p.Summary())
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

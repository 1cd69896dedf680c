package dhcp

import (
	"errors"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

var leaseLine = regexp.MustCompile(`^(bound|renew) ip=10\.77\.0\.5\d mask=24 router=10\.77\.0\.254 dns=10\.77\.0\.253 9\.9\.9\.9 server=10\.77\.0\.1 lease=3600`)

// BusyBox' client gets a lease, the same one again, and the same after the server was restarted and after a release.
func TestUdhcpcGetsLease(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	path := filepath.Join(t.TempDir(), "leases.db")
	log, stop := r.serve(testSite(), path)
	first := r.udhcpc(false)
	if !leaseLine.MatchString(first) {
		t.Fatalf("got %q", first)
	}
	log.wait(t, "lease given")
	stop()
	log, _ = r.serve(testSite(), path)
	if again := r.udhcpc(true); again != first {
		t.Errorf("after a restart of the server: %q, before: %q", again, first)
	}
	if strings.Contains(log.text(), "probing") {
		t.Error("the client's own address was probed")
	}
	log.wait(t, "lease released")
	if again := r.udhcpc(false); again != first {
		t.Errorf("after a release: %q, before: %q", again, first)
	}
	log.wait(t, "probing")
}

// ISC's client gets a lease, also with a reservation and its host name, and releases it.
func TestDhclientGetsLease(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	path := need.Command(t, "dhclient", "isc-dhcp-client")
	r.run("ip", "-n", r.client, "link", "set", "eth0", "address", testMAC.String())
	log, _ := r.serve(testSite(), filepath.Join(t.TempDir(), "leases.db"))
	script, result := r.hook("$reason ip=$new_ip_address mask=$new_subnet_mask router=$new_routers dns=$new_domain_name_servers host=$new_host_name",
		"test -z \"$new_ip_address\" || ip addr add $new_ip_address/24 dev eth0")
	dir := t.TempDir()
	files := []string{"-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "-cf", "/dev/null", "-sf", script, "eth0"}
	client := func(args ...string) []string {
		return append(append([]string{"netns", "exec", r.client, path}, args...), files...)
	}
	t.Cleanup(func() { _ = exec.Command("ip", client("-x")...).Run() })
	r.run("ip", client("-1")...)
	want := "BOUND ip=10.77.0.55 mask=255.255.255.0 router=10.77.0.254 dns=10.77.0.253 9.9.9.9 host=desk1"
	if got := lastLine(t, result, "BOUND"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.run("ip", client("-r")...)
	log.wait(t, "lease released", "10.77.0.55")
}

// An address that a machine uses which did not get it here is found by the probe and left alone.
func TestAddressInUseIsNotOffered(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.run("ip", "-n", r.other, "addr", "add", "10.77.0.52/24", "dev", "eth0")
	log, _ := r.serve(testSite(), filepath.Join(t.TempDir(), "leases.db"))
	got := r.udhcpc(false, "-r", "10.77.0.52")
	if !leaseLine.MatchString(got) || strings.Contains(got, "ip=10.77.0.52") {
		t.Errorf("got %q", got)
	}
	log.wait(t, "address is in use", "addr=10.77.0.52")
}

// Beside a real DHCP server, on another machine or on this one: an ordinary client gets its address there and hears
// nothing from the proxy; firmware hears both.
func TestProxyBesideDnsmasq(t *testing.T) {
	for name, where := range map[string]func(r *room) (ns, server string){
		"on another machine": func(r *room) (string, string) { return r.other, "10.77.0.2" },
		"on this machine":    func(r *room) (string, string) { return r.seeder, "10.77.0.1" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			ns, server := where(r)
			dnsmasq := r.dnsmasq(ns)
			log, _ := r.serve(site.DHCP{Mode: site.DHCPProxy}, "")
			if got := r.udhcpc(true); !strings.Contains(got, "ip=10.77.0.1") || !strings.Contains(got, "server="+server+" ") {
				t.Errorf("udhcpc got %q", got)
			}
			dnsmasq.wait(t, "DHCPRELEASE")
			log.wait(t, "DHCP request ignored", "DISCOVER without a boot client's vendor class")
			if strings.Contains(log.text(), "answered") {
				t.Error("the proxy answered an ordinary client")
			}
			withAddress, without := r.offers(captured(t, "ovmf-pxe-discover"))
			if a := addrOf(withAddress.YourIPAddr); a.Less(addr("10.77.0.100")) {
				t.Errorf("dnsmasq offered %s", a)
			}
			if without.BootFileName != "snponly.efi" || addrOf(without.ServerIPAddr) != testIface.Addr.Addr() {
				t.Errorf("the proxy offered:\n%s", without.Summary())
			}
		})
	}
}

// offers broadcasts a DHCPDISCOVER from the client and waits for an offer with and one without an address.
func (r *room) offers(discover *dhcpv4.DHCPv4) (with, without *dhcpv4.DHCPv4) {
	r.t.Helper()
	err := r.in(r.client, func() error {
		conn, err := nclient4.NewRawUDPConn("eth0", clientPort)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.WriteTo(discover.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: serverPort}); err != nil {
			return err
		}
		buf := make([]byte, 2048)
		for with == nil || without == nil {
			if err := conn.SetReadDeadline(time.Now().Add(need.Patience)); err != nil {
				return err
			}
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return err
			}
			p, err := dhcpv4.FromBytes(buf[:n])
			if err != nil || p.TransactionID != discover.TransactionID {
				continue
			}
			if addrOf(p.YourIPAddr).IsValid() {
				with = p
			} else {
				without = p
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatalf("with address: %v, without: %v: %v", with, without, err)
	}
	return with, without
}

// UEFI asks port 4011 once it has its address, and gets the answer where it asked from.
func TestBootServerPort(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.serve(site.DHCP{Mode: site.DHCPProxy}, "")
	r.run("ip", "-n", r.client, "addr", "add", "10.77.0.101/24", "dev", "eth0")
	err := r.in(r.client, func() error {
		conn, err := net.DialUDP("udp4", &net.UDPAddr{Port: pxePort}, &net.UDPAddr{IP: net.IP{10, 77, 0, 1}, Port: pxePort})
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.Write(captured(t, "ovmf-pxe-request-4011").ToBytes()); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(need.Patience)); err != nil {
			return err
		}
		buf := make([]byte, 2048)
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		p, err := dhcpv4.FromBytes(buf[:n])
		if err == nil && (p.MessageType() != dhcpv4.MessageTypeAck || p.BootFileName != "snponly.efi") {
			err = errors.New(p.Summary())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Two DHCP servers on one interface do harm; the message names the other and the way out.
func TestServerRefusesSharedPort(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.dnsmasq(r.seeder)
	s, err := New(Config{Site: testSite(), Boot: testBoot, Leases: filepath.Join(t.TempDir(), "leases.db"), Log: slog.New(slog.DiscardHandler),
		Interfaces: []Interface{{Name: "eth0", Index: r.index(), Addr: testIface.Addr}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = r.in(r.seeder, func() error { return s.Listen(t.Context()) })
	if err == nil || !strings.Contains(err.Error(), "interface eth0: UDP port 67: dnsmasq (pid ") || !strings.Contains(err.Error(), "mode: proxy") {
		t.Errorf("got: %v", err)
	}
}

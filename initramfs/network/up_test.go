package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/internal/need"
)

const (
	mac0, mac1 = "52:54:00:00:00:10", "52:54:00:00:00:11"
	range0     = "--dhcp-range=10.77.0.10,10.77.0.20,255.255.255.0,1h"
	range1     = "--dhcp-range=10.78.0.10,10.78.0.20,255.255.255.0,1h"
)

// dnsmasq as it is found: the lease is what it gave, and the machine is set up so.
func TestUpByDHCP(t *testing.T) {
	r := newRoom(t, "10.77.0.1/24")
	if r == nil {
		return
	}
	log, _ := r.dnsmasq(range0, "--dhcp-option=26,1400", "--dhcp-option=6,10.77.0.53", "--domain=lab.example",
		"--dhcp-host="+mac0+",10.77.0.15,node7", "--dhcp-boot=undionly.kpxe,boot,10.77.0.9")
	lease, err := r.up(config.Network{}, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if lease.Interface != "eth0" || lease.Addr.String() != "10.77.0.15/24" || lease.Gateway.String() != "10.77.0.1" ||
		lease.Hostname != "node7" || lease.Domain != "lab.example" || lease.MTU != 1400 || lease.Server.String() != "10.77.0.1" ||
		lease.NextServer.String() != "10.77.0.9" || lease.BootFile != "undionly.kpxe" || lease.Duration != time.Hour {
		t.Errorf("lease %+v", lease)
	}
	if line := r.await(log, "vendor class:"); !strings.Contains(line, "vendor class: BootTorrent:") {
		t.Errorf("dnsmasq read %q", line)
	}
	r.shows("inet 10.77.0.15/24", "address", "show", "eth0")
	r.shows("mtu 1400", "link", "show", "eth0")
	r.shows("default via 10.77.0.1 dev eth0", "route")
	if conf, err := os.ReadFile(r.host().resolvConf); string(conf) != "search lab.example\nnameserver 10.77.0.53\n" {
		t.Errorf("resolv.conf is %q, %v", conf, err)
	}
	if len(r.names) != 1 || r.names[0] != "node7" {
		t.Errorf("host names set: %q", r.names)
	}
	if !Alive(lease) {
		t.Error("the lease is not alive")
	}
	r.inside("ip", "link", "set", "sw-eth0", "down")
	for deadline := time.Now().Add(5 * time.Second); Alive(lease); {
		if time.Now().After(deadline) {
			t.Fatal("the lease is alive without link")
		}
	}
	// The same again, as after a failure later in the boot, and the address is the same.
	r.plug("eth0")
	again, err := r.up(config.Network{}, 20*time.Second)
	if err != nil || again.Addr != lease.Addr {
		t.Errorf("the second time: %v, %v", again.Addr, err)
	}
}

// A server that is slow to come, like a switch that forwards only after the spanning tree has settled.
func TestUpIsPatient(t *testing.T) {
	r := newRoom(t, "10.77.0.1/24")
	if r == nil {
		return
	}
	var once sync.Once
	r.onEvent = func(e string) {
		if strings.Contains(e, "try 2") {
			once.Do(func() { r.dnsmasq(range0) })
		}
	}
	lease, err := r.up(config.Network{}, 30*time.Second)
	if err != nil || lease.Addr.Addr().String()[:6] != "10.77." || !r.saw("try 2") {
		t.Errorf("%v, %v", lease.Addr, err)
	}
}

// Of two NICs one has no cable; then it gets one, and another that was there has none.
func TestUpIgnoresTheUnplugged(t *testing.T) {
	r := newRoom(t)
	if r == nil {
		return
	}
	r.cable("eth0", mac0, "")
	r.cable("eth1", mac1, "10.78.0.1/24")
	r.dnsmasq(range1)
	var once sync.Once
	r.onEvent = func(e string) {
		// Plugged in only after a look at the message that asks for it.
		if strings.Contains(e, "eth1: no carrier; is its cable plugged in?") {
			once.Do(func() { r.plug("eth1") })
		}
	}
	lease, err := r.up(config.Network{}, 30*time.Second)
	if err != nil || lease.Interface != "eth1" {
		t.Fatalf("%+v, %v", lease, err)
	}
	r.shows("state DOWN", "link", "show", "eth0")
}

// An adapter that appears while we wait.
func TestUpUsesALateNIC(t *testing.T) {
	r := newRoom(t)
	if r == nil {
		return
	}
	var once sync.Once
	r.onEvent = func(e string) {
		if strings.Contains(e, "no network interface was found") {
			once.Do(func() {
				r.cable("eth0", mac0, "10.77.0.1/24")
				r.plug("eth0")
				r.dnsmasq(range0)
			})
		}
	}
	if lease, err := r.up(config.Network{}, 30*time.Second); err != nil || lease.Interface != "eth0" {
		t.Fatalf("%+v, %v", lease, err)
	}
}

// Both NICs are answered; the one the firmware booted from is used.
func TestUpPrefersBOOTIF(t *testing.T) {
	r := newRoom(t)
	if r == nil {
		return
	}
	r.cable("eth0", mac0, "10.77.0.1/24")
	r.cable("eth1", mac1, "10.78.0.1/24")
	r.plug("eth0")
	r.plug("eth1")
	r.dnsmasq(range0, range1)
	lease, err := r.up(config.Network{MAC: mac1}, 20*time.Second)
	if err != nil || lease.Interface != "eth1" || lease.Addr.Addr().String()[:6] != "10.78." {
		t.Fatalf("%+v, %v", lease, err)
	}
	r.shows("state DOWN", "link", "show", "eth0")

	// One that isn't answered is not waited for for ever.
	if lease, err = r.up(config.Network{MAC: "52:54:00:99:99:99"}, need.Patience); err != nil {
		t.Errorf("with a BOOTIF that isn't there: %+v, %v", lease, err)
	}
	// And bt.interface= leaves no choice.
	if lease, err = r.up(config.Network{Interface: mac0}, 20*time.Second); err != nil || lease.Interface != "eth0" {
		t.Errorf("with the other interface demanded: %+v, %v", lease, err)
	}
}

// The NIC of a management processor answers at once, with an address that leads nowhere or with another; the port of the NIC that
// the firmware booted from opens only later.
func TestUpWaitsForTheBetterNIC(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg   config.Network
		first string // the other NIC's network
	}{
		"the boot NIC":             {config.Network{MAC: mac0}, "10.78.0."},
		"anything but link-local":  {config.Network{}, "169.254.95."},
		"the boot NIC, link-local": {config.Network{MAC: mac0}, "169.254.95."},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			r := newRoom(t)
			if r == nil {
				return
			}
			r.cable("eth0", mac0, "10.77.0.1/24")
			r.cable("eth1", mac1, tt.first+"1/24")
			r.plug("eth0")
			r.plug("eth1")
			_, stop := r.dnsmasq("--dhcp-range=" + tt.first + "10," + tt.first + "20,255.255.255.0,1h")
			var once sync.Once
			r.onEvent = func(e string) {
				if strings.Contains(e, "eth1 has an answer; waiting up to") && strings.HasSuffix(e, "for eth0") {
					once.Do(func() {
						stop()
						r.dnsmasq(range0, "--dhcp-range="+tt.first+"10,"+tt.first+"20,255.255.255.0,1h")
					})
				}
			}
			if lease, err := r.up(tt.cfg, 40*time.Second); err != nil || lease.Interface != "eth0" {
				t.Fatalf("%+v, %v", lease, err)
			}
		})
	}
}

// An address that leads nowhere is better than none.
func TestUpTakesLinkLocalAlone(t *testing.T) {
	r := newRoom(t, "169.254.95.1/24")
	if r == nil {
		return
	}
	r.dnsmasq("--dhcp-range=169.254.95.10,169.254.95.20,255.255.255.0,1h")
	if lease, err := r.up(config.Network{}, 20*time.Second); err != nil || !lease.Addr.Addr().IsLinkLocalUnicast() {
		t.Errorf("%+v, %v", lease, err)
	}
}

// Where no seeder was found by one NIC, another is taken, even if the first is the one that the firmware booted from.
func TestUpLeavesADeadEnd(t *testing.T) {
	r := newRoom(t)
	if r == nil {
		return
	}
	r.cable("eth0", mac0, "10.77.0.1/24")
	r.cable("eth1", mac1, "10.78.0.1/24")
	r.plug("eth0")
	r.plug("eth1")
	r.dnsmasq(range0, range1)
	lease, err := r.up(config.Network{MAC: mac0}, 20*time.Second)
	if err != nil || lease.Interface != "eth0" || !Others(lease, config.Network{}) || Others(lease, config.Network{Interface: "eth0"}) {
		t.Fatalf("%+v, %v", lease, err)
	}
	if lease, err = r.upBut(map[string]bool{mac0: true}, config.Network{MAC: mac0}, 20*time.Second); err != nil || lease.Interface != "eth1" {
		t.Errorf("after a dead end: %+v, %v", lease, err)
	}
}

func TestUpStatic(t *testing.T) {
	r := newRoom(t)
	if r == nil {
		return
	}
	r.cable("eth0", mac0, "")
	r.cable("eth1", mac1, "10.77.0.1/24")
	r.plug("eth1")
	cfg, warnings := config.ParseCmdline("ip=10.77.0.44:10.77.0.9:10.77.0.1:255.255.255.0:node44::none:10.77.0.53")
	if len(warnings) > 0 {
		t.Fatal(warnings)
	}
	lease, err := r.up(cfg.Network, 10*time.Second)
	if err != nil || lease.Interface != "eth1" || lease.NextServer.String() != "10.77.0.9" || lease.Duration != 0 {
		t.Fatalf("%+v, %v", lease, err)
	}
	r.shows("inet 10.77.0.44/24", "address", "show", "eth1")
	r.shows("default via 10.77.0.1 dev eth1", "route")
	if out, err := exec.Command("ping", "-c1", "-W5", "10.77.0.1").CombinedOutput(); err != nil && !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("ping: %v\n%s", err, out)
	}
	if len(r.names) != 1 || r.names[0] != "node44" {
		t.Errorf("host names set: %q", r.names)
	}
}

// TestProxy is no test of its own: it is the proxyDHCP that TestUpWithProxy starts at the switch.
func TestProxy(t *testing.T) {
	ifname := os.Getenv("BOOTTORRENT_TEST_PROXY")
	if ifname == "" {
		t.Skip("runs for TestUpWithProxy only")
	}
	conn, err := nclient4.NewRawUDPConn(ifname, 67)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1500)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		p, err := dhcpv4.FromBytes(buf[:n])
		if err != nil || p.MessageType() != dhcpv4.MessageTypeDiscover || !strings.HasPrefix(p.ClassIdentifier(), "BootTorrent") {
			continue
		}
		offer, err := dhcpv4.NewReplyFromRequest(p, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer),
			dhcpv4.WithServerIP(net.IP{10, 77, 0, 2}), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP{10, 77, 0, 2})),
			dhcpv4.WithOption(dhcpv4.OptBootFileName("http://10.77.0.2:8080")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.WriteTo(offer.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 68}); err != nil {
			t.Fatal(err)
		}
	}
}

// Where dnsmasq hands out the addresses, a seeder's proxyDHCP says where to boot from.
func TestUpWithProxy(t *testing.T) {
	r := newRoom(t, "10.77.0.1/24")
	if r == nil {
		return
	}
	r.dnsmasq(range0)
	at := r.at("/proc/self/exe", "-test.run=^TestProxy$")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	at[len(at)-2] = self
	proxy := exec.Command(at[0], at[1:]...)
	proxy.Env = append(os.Environ(), "BOOTTORRENT_TEST_PROXY=sw-eth0")
	proxy.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r.start(proxy)
	// The proxy may be slower to start than the first DISCOVER; the next run finds it.
	for range 5 {
		lease, err := r.up(config.Network{}, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if lease.BootFile == "http://10.77.0.2:8080" && lease.NextServer.String() == "10.77.0.2" && lease.Server.String() == "10.77.0.1" {
			return
		}
	}
	t.Error("the proxy's offer was never used")
}

// When time is up the error says what was seen on each NIC, and what to try.
func TestUpExplains(t *testing.T) {
	r := newRoom(t)
	if r == nil {
		return
	}
	r.cable("eth0", mac0, "10.77.0.1/24")
	r.cable("eth1", mac1, "")
	r.plug("eth0")
	_, err := r.up(config.Network{}, 3*time.Second)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"eth0 (" + mac0 + "): link is up, but no DHCP answer after 2 tries; is there a DHCP server",
		"eth1 (" + mac1 + "): no carrier; plug in its cable",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	_, err = r.up(config.Network{Interface: "ens3"}, time.Second)
	if err == nil || !strings.Contains(err.Error(), "wants the interface ens3") {
		t.Errorf("an interface that isn't there: %v", err)
	}
}

// The lease is renewed; then another server refuses it, and a new address is asked for.
func TestKeep(t *testing.T) {
	r := newRoom(t, "10.77.0.1/24")
	if r == nil {
		return
	}
	log, stop := r.dnsmasq(range0)
	lease, err := r.up(config.Network{}, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	r.await(log, "DHCPACK")
	lease.NextServer, lease.BootFile = netip.MustParseAddr("10.77.0.9"), "boot.ipxe" // as a proxyDHCP said
	leases := make(chan Lease, 10)
	// keepFrom keeps the lease, whose time to renew is soon, until the function it returns is called.
	keepFrom := func(l Lease) (end func()) {
		l.Renew = 200 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			keep(ctx, l, r.event, func(l Lease) { leases <- l }, r.host(), "")
		}()
		return func() { cancel(); <-done }
	}
	end := keepFrom(lease)
	if line := r.await(log, "DHCPREQUEST", "DHCPDISCOVER"); !strings.Contains(line, lease.Addr.Addr().String()) {
		t.Errorf("instead of a renewal: %s", line)
	}
	r.await(log, "DHCPACK")
	if renewed := awaitLease(t, leases); renewed.Addr != lease.Addr || renewed.NextServer != lease.NextServer || renewed.BootFile != lease.BootFile {
		t.Errorf("renewed %+v, want the same as %+v", renewed, lease)
	}
	end()
	stop()
	if err := os.Remove(r.dir + "/leases"); err != nil {
		t.Fatal(err)
	}

	log, _ = r.dnsmasq("--dhcp-range=10.77.0.150,10.77.0.159,255.255.255.0,1h")
	end = keepFrom(lease)
	r.await(log, "DHCPNAK")
	if replaced := awaitLease(t, leases); !strings.HasPrefix(replaced.Addr.String(), "10.77.0.15") || !r.saw("address 10.77.0.15") {
		t.Errorf("instead of a new address: %+v; events:\n%s", replaced, strings.Join(r.events, "\n"))
	}
	r.shows("inet 10.77.0.15", "address", "show", "eth0")
	end()
}

// awaitLease returns the next lease that Keep tells of.
func awaitLease(t *testing.T, leases <-chan Lease) Lease {
	t.Helper()
	select {
	case l := <-leases:
		return l
	case <-time.After(need.Patience):
		t.Fatal("no lease")
	}
	return Lease{}
}

// A kernel with 802.1Q makes the interface; without it, in the kernel or the image, the error says so.
func TestVLANInterface(t *testing.T) {
	r := newRoom(t, "")
	if r == nil {
		return
	}
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	r.run("ip", "link", "set", "eth0", "up")
	h := r.host()
	h.probe = func(module string) error { return errors.New("module " + module + " is not in this image") }
	name, err := h.addVLAN(link, 5)
	if err != nil && !strings.Contains(err.Error(), "make VLAN 5 on eth0: module 8021q is not in this image") {
		t.Error(err)
	}
	need.VLAN(t, "TestHelpFromAfar")
	if err != nil {
		t.Fatal(err)
	}
	r.shows("vlan protocol 802.1Q id 5", "-d", "link", "show", name)
}

func TestDownTakesAllDown(t *testing.T) {
	r := newRoom(t, "")
	if r == nil {
		return
	}
	r.run("ip", "link", "set", "eth0", "up")
	r.run("ip", "address", "add", "10.77.0.5/24", "dev", "eth0")
	if err := Down(); err != nil {
		t.Fatal(err)
	}
	r.shows("state DOWN", "link", "show", "eth0")
	if out, err := exec.Command("ip", "-4", "address", "show", "eth0").CombinedOutput(); err != nil || strings.Contains(string(out), "inet") {
		t.Errorf("it has an address still: %v\n%s", err, out)
	}
}

package dhcp

import (
	"cmp"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/site"
)

func machine(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, n} }

// lease takes a client through choose, probed and bind.
func (p *pool) lease(t *testing.T, mac net.HardwareAddr) netip.Addr {
	t.Helper()
	a, _, err := p.choose(mac, netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	p.probed(mac, a)
	if _, _, err := p.bind(mac, a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPoolNeverHandsOutTakenAddresses(t *testing.T) {
	cfg := testSite()
	cfg.First, cfg.Last = addr("10.77.0.250"), addr("10.77.0.255") // with 253 a name server, 254 the router, 255 broadcast
	cfg.Reservations = []site.Reservation{{MAC: testMAC, Address: addr("10.77.0.251")}}
	p := testPool(t, cfg, &testClock{t: testStart})
	got := map[netip.Addr]bool{p.lease(t, machine(1)): true, p.lease(t, machine(2)): true}
	if !got[addr("10.77.0.250")] || !got[addr("10.77.0.252")] {
		t.Errorf("handed out %v", got)
	}
	if a, _, err := p.choose(machine(3), addr("10.77.0.253")); err == nil {
		t.Errorf("handed out %s", a)
	}
}

func TestPoolKeepsAddresses(t *testing.T) {
	c := &testClock{t: testStart}
	p := testPool(t, testSite(), c)
	a := p.lease(t, otherMAC)
	c.t = c.t.Add(2 * time.Hour)
	if n := len(p.active()); n != 0 {
		t.Errorf("%d leases are active after they expired", n)
	}
	again, fresh, err := p.choose(otherMAC, addr("10.77.0.59"))
	if err != nil || again != a || !fresh {
		t.Errorf("came back: %s, fresh %v, %v; want %s, to be probed", again, fresh, err, a)
	}
	// Only when every other address has been used does somebody else get the one that expired first.
	p = testPool(t, testSite(), c)
	var first netip.Addr
	for i := range 9 {
		a := p.lease(t, machine(byte(i)))
		if i == 0 {
			first = a
		}
		c.t = c.t.Add(time.Second)
	}
	c.t = c.t.Add(2 * time.Hour)
	if a := p.lease(t, otherMAC); a != first {
		t.Errorf("took %s, want the one that expired first, %s", a, first)
	}
	if _, _, err := p.bind(machine(0), first); err == nil {
		t.Error("the former holder could extend its lease")
	}
}

func TestPoolOfferLapses(t *testing.T) {
	cfg := testSite()
	cfg.Last = cfg.First
	c := &testClock{t: testStart}
	p := testPool(t, cfg, c)
	if _, _, err := p.choose(machine(1), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.choose(machine(2), netip.Addr{}); err == nil {
		t.Error("an address was offered twice")
	}
	c.t = c.t.Add(offerTime)
	if _, fresh, err := p.choose(machine(2), netip.Addr{}); err != nil || !fresh {
		t.Errorf("an offer that nobody took is not free again: fresh %v, %v", fresh, err)
	}
}

func TestPoolQuarantineEnds(t *testing.T) {
	cfg := testSite()
	cfg.Last = cfg.First
	c := &testClock{t: testStart}
	p := testPool(t, cfg, c)
	p.quarantine(cfg.First)
	if _, _, err := p.choose(otherMAC, netip.Addr{}); err == nil {
		t.Error("an address in quarantine was offered")
	}
	c.t = c.t.Add(quarantineTime)
	if a := p.lease(t, otherMAC); a != cfg.First {
		t.Errorf("got %s", a)
	}
}

func TestNewRefuses(t *testing.T) {
	good := Config{Site: testSite(), Interfaces: []Interface{testIface}, Boot: testBoot}
	for want, change := range map[string]func(*Config){
		"unknown mode":                   func(c *Config) { c.Site.Mode = "both" },
		"no interface":                   func(c *Config) { c.Interfaces = nil },
		"has no IPv4 address":            func(c *Config) { c.Interfaces[0].Addr = netip.Prefix{} },
		"is in the network of no":        func(c *Config) { c.Site.First, c.Site.Last = addr("10.1.0.1"), addr("10.1.0.9") },
		"reserved for 52:54:00:00:00:01": func(c *Config) { c.Site.Reservations[0].Address = testIface.Addr.Addr() },
		"needs a file":                   func(c *Config) { c.Leases = "" },
	} {
		cfg := good
		cfg.Site, cfg.Interfaces, cfg.Leases = testSite(), []Interface{testIface}, filepath.Join(t.TempDir(), "leases.db")
		change(&cfg)
		if s, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		} else if s != nil {
			t.Errorf("%s: a server came with the error", want)
		}
	}
	cfg := good
	cfg.Interfaces = []Interface{testIface, {Name: "eth1", Addr: netip.MustParsePrefix("10.78.0.1/24")}}
	cfg.Leases = filepath.Join(t.TempDir(), "leases.db")
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.handlers[0].pool == nil || s.handlers[1].pool != nil {
		t.Error("the range belongs to eth0; eth1 must be served as a proxy")
	}
}

// active returns the leases that have not expired, sorted by address.
func (p *pool) active() []Lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	var leases []Lease
	now := p.clock.steady()
	for _, e := range p.clients {
		if e.bound && now.Before(e.Expires) {
			leases = append(leases, e.Lease)
		}
	}
	slices.SortFunc(leases, func(a, b Lease) int { return cmp.Compare(toUint(a.Addr), toUint(b.Addr)) })
	return leases
}

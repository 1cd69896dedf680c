package network

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/initramfs/config"
)

// resume resumes a lease of which age is over.
func (r *room) resume(cfg config.Network, known Lease, age, within time.Duration) (Lease, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), within)
	defer cancel()
	lease, err := resume(ctx, cfg, known, age, r.event, r.host(), "")
	r.t.Logf("lease %+v, error %v, events:\n%s", lease, err, strings.Join(r.events, "\n"))
	return lease, err
}

// leased gets a lease from a server, and takes the network down as another kernel finds it.
func (r *room) leased(options ...string) (lease Lease, log <-chan string, stop func()) {
	r.t.Helper()
	log, stop = r.dnsmasq(options...)
	lease, err := r.up(config.Network{}, 20*time.Second)
	if err != nil {
		r.t.Fatal(err)
	}
	r.await(log, "DHCPACK")
	if err := Down(); err != nil {
		r.t.Fatal(err)
	}
	r.forget()
	return lease, log, stop
}

func (r *room) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// The server still has the lease: it is asked for it at once, and for no other.
func TestResume(t *testing.T) {
	r := newRoom(t, "10.77.0.1/24")
	if r == nil {
		return
	}
	known, log, _ := r.leased(range0, "--dhcp-option=6,10.77.0.53")
	known.Interface, known.NextServer, known.BootFile = "ens3", known.Server, "http://10.77.0.1/boot" // as another kernel called it
	lease, err := r.resume(config.Network{MTU: 1400}, known, time.Minute, 20*time.Second)
	if err != nil || lease.Addr != known.Addr || lease.Interface != "eth0" || lease.BootFile != known.BootFile || lease.Duration != time.Hour {
		t.Errorf("%+v, %v", lease, err)
	}
	if line := r.await(log, "DHCPDISCOVER", "DHCPREQUEST"); !strings.Contains(line, "DHCPREQUEST") {
		t.Errorf("the server was asked with %q", line)
	}
	r.shows("inet "+known.Addr.String(), "address", "show", "eth0")
	r.shows("mtu 1400", "link", "show", "eth0")
	r.shows("default via 10.77.0.1 dev eth0", "route")
}

// The server gives other addresses now: it refuses, and gives another.
func TestResumeRefused(t *testing.T) {
	r := newRoom(t, "10.77.0.1/24")
	if r == nil {
		return
	}
	known, _, stop := r.leased(range0)
	stop()
	log, _ := r.dnsmasq("--dhcp-range=10.77.0.150,10.77.0.159,255.255.255.0,1h", "--dhcp-authoritative")
	lease, err := r.resume(config.Network{}, known, time.Minute, 20*time.Second)
	if err != nil || !strings.HasPrefix(lease.Addr.String(), "10.77.0.15") || lease.Addr == known.Addr || !r.saw("is lost") {
		t.Errorf("%+v, %v", lease, err)
	}
	r.await(log, "DHCPNAK")
}

// Nobody answers: the lease is used as long as it holds, and no longer.
func TestResumeWithoutServer(t *testing.T) {
	r := newRoom(t, "10.77.0.1/24")
	if r == nil {
		return
	}
	known, _, stop := r.leased(range0)
	stop()
	lease, err := r.resume(config.Network{}, known, 50*time.Minute, 20*time.Second)
	if err != nil || lease.Addr != known.Addr || lease.Duration > 10*time.Minute || lease.Duration < 9*time.Minute ||
		lease.Renew > lease.Rebind || lease.Rebind > lease.Duration || lease.Renew > soonest {
		t.Errorf("%+v, %v", lease, err)
	}
	r.shows("inet "+known.Addr.String(), "address", "show", "eth0")
	if !r.saw("nobody confirms the address") {
		t.Error("it was not said that nobody confirms the address")
	}
	if err := Down(); err != nil {
		t.Fatal(err)
	}
	if lease, err := r.resume(config.Network{}, known, 2*time.Hour, confirmWithin+5*time.Second); err == nil || !r.saw("asking for an address (try 1)") {
		t.Errorf("after its end: %+v, %v", lease, err)
	}
}

// RFC 2131, 4.3.2: "'server identifier' MUST NOT be filled in, 'requested IP address' option MUST be filled in …, 'ciaddr' MUST be zero".
func TestRebootRequest(t *testing.T) {
	p := identity{mac: []byte{2, 0, 0, 0, 0, 1}}.reboot(netip.MustParseAddr("10.0.0.7"))
	if p.MessageType() != dhcpv4.MessageTypeRequest || p.RequestedIPAddress().String() != "10.0.0.7" || p.ServerIdentifier() != nil ||
		!p.ClientIPAddr.IsUnspecified() {
		t.Errorf("%v", p.Summary())
	}
}

func TestRemaining(t *testing.T) {
	l := Lease{Duration: time.Hour, Renew: 30 * time.Minute, Rebind: 50 * time.Minute}
	for _, c := range []struct{ left, renew, rebind time.Duration }{
		{20 * time.Minute, time.Minute, 10 * time.Minute}, {time.Minute, 30 * time.Second, 30 * time.Second},
	} {
		if got := l.remaining(c.left); got.Duration != c.left || got.Renew != c.renew || got.Rebind != c.rebind {
			t.Errorf("with %s left: %+v", c.left, got)
		}
	}
	if l := (Lease{Duration: forever, Renew: 5, Rebind: 6}); l.remaining(time.Hour).Duration != forever {
		t.Error("a lease for ever ended")
	}
}

// A name by the site's rules is told to the server, which says another, and stays.
func TestNameByTheRules(t *testing.T) {
	r := newRoom(t, "10.77.0.1/24")
	if r == nil {
		return
	}
	known, log, _ := r.leased(range0, "--dhcp-option-force=12,theirs", "--log-dhcp")
	if known.Hostname != "theirs" {
		t.Fatalf("the server says the name %q", known.Hostname)
	}
	lease, err := r.resume(config.Network{}, known.WithName("desk-7"), time.Minute, 20*time.Second)
	if err != nil || lease.Hostname != "desk-7" || !lease.Named {
		t.Errorf("%+v, %v", lease, err)
	}
	r.await(log, "client provides name: desk-7")
	ctx, cancel := context.WithCancel(t.Context())
	leases, ended := make(chan Lease, 1), make(chan struct{})
	soon := lease.After(time.Minute)
	soon.Renew = 200 * time.Millisecond
	go func() {
		defer close(ended)
		keep(ctx, soon, r.event, func(l Lease) { leases <- l }, r.host(), "")
	}()
	if next := <-leases; next.Hostname != "desk-7" || !next.Named {
		t.Errorf("after a renewal: %+v", next)
	}
	r.await(log, "client provides name: desk-7")
	cancel()
	<-ended
}

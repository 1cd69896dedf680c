package dhcp

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/site"
)

// move has the server follow its interface, as it is in the seeder's namespace, to an address.
func (r *room) move(to string) {
	r.t.Helper()
	now := Interface{Name: "eth0", Index: r.index(), Addr: netip.MustParsePrefix(to)}
	if err := r.in(r.seeder, func() error { return r.server.Move(r.t.Context(), []Interface{now}) }); err != nil {
		r.t.Fatal(err)
	}
}

// replug takes the seeder's interface away and brings it back, as another device of the same name.
func (r *room) replug(addr string) {
	r.t.Helper()
	r.run("ip", "-n", r.seeder, "link", "del", "eth0")
	r.run("ip", "-n", r.seeder, "link", "add", "eth0", "type", "bridge")
	r.run("ip", "-n", r.seeder, "addr", "add", addr, "dev", "eth0")
	r.run("ip", "-n", r.seeder, "link", "set", "eth0", "up")
	for _, port := range []string{"port1", "port2"} {
		r.run("ip", "-n", r.seeder, "link", "set", port, "master", "eth0", "up")
	}
}

// An interface that goes and comes back, with another address or the same, is served on, and machines keep their leases.
func TestServerFollowsItsInterface(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	log, _ := r.serve(testSite(), filepath.Join(t.TempDir(), "leases.db"))
	address := func(text string) string {
		for _, f := range strings.Fields(text) {
			if strings.HasPrefix(f, "ip=") {
				return f
			}
		}
		return text
	}
	first := address(r.udhcpc(false))
	for _, to := range []string{"10.77.0.3/24", "10.77.0.3/24", "10.77.0.1/24"} {
		r.replug(to)
		r.move(to)
		got := r.udhcpc(false)
		if server, _, _ := strings.Cut(to, "/"); address(got) != first || !strings.Contains(got, "server="+server+" ") {
			t.Errorf("at %s: %q, before: %q", to, got, first)
		}
	}
	r.replug("10.99.0.1/24")
	r.move("10.99.0.1/24")
	log.wait(t, "level=ERROR", "outside of its range", "10.99.0.1/24")
}

func TestProxyFollowsItsInterface(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.dnsmasq(r.other)
	r.serve(site.DHCP{Mode: site.DHCPProxy}, "")
	r.replug("10.77.0.3/24")
	r.move("10.77.0.3/24")
	_, without := r.offers(captured(t, "ovmf-pxe-discover"))
	if without.BootFileName != "snponly.efi" || addrOf(without.ServerIPAddr) != addr("10.77.0.3") {
		t.Errorf("the proxy offered:\n%s", without.Summary())
	}
}

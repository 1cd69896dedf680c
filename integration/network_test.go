package integration

import (
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
)

// A switch whose spanning tree opens the port only after 40 s, and a second network card without a cable.
func TestLateDHCPAndUnpluggedCard(t *testing.T) {
	const delay = 40 * time.Second
	r := newRoom(t, "default: tiny\ntimeout: 0\nseed_time: 0\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.serve()
	_, err := lab.DnsmasqDHCPAfter(t.Context(), r.router, dhcpRange, delay)
	r.must(err)
	began := time.Now()
	c := r.direct("n1", r.seederArg())
	c.NICs = []lab.NIC{{Model: "e1000e", Unplugged: true}, {Model: "virtio-net-pci"}}
	n := r.node(c)
	lab.Await(t, n.Console(), toChooser, `no (carrier|link|cable)`)
	if mac, _ := r.awaitTiny(n, toChooser+toSystem); mac != n.Config.NICs[1].MAC {
		t.Logf("the tiny system has a driver for %s first", mac)
	}
	if took := time.Since(began); took < delay {
		t.Errorf("the node booted within %s: DHCP was not late", took)
	}
	if _, ok := r.reports()[n.Config.NICs[1].MAC]; !ok {
		t.Errorf("the node did not use the card with the cable: %v", r.reports())
	}
}

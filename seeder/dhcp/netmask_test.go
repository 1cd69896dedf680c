package dhcp

import (
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// The netmask of the site goes before the interface's, and the broadcast address follows it.
func TestNetmask(t *testing.T) {
	for bits, want := range map[int][2]string{0: {"255.255.255.0", "10.77.0.255"}, 22: {"255.255.252.0", "10.77.3.255"}} {
		h := serverHandler(t)
		h.pool.cfg.Netmask = bits
		reply := request(dhcpv4.MessageTypeAck)
		h.putNetwork(reply, request(dhcpv4.MessageTypeRequest, opt(dhcpv4.OptParameterRequestList(dhcpv4.OptionBroadcastAddress))))
		got := [2]string{net.IP(reply.SubnetMask()).String(), reply.BroadcastAddress().String()}
		if got != want {
			t.Errorf("with %d bits: %v, want %v", bits, got, want)
		}
	}
}

// What the wider network has at its ends is not handed out.
func TestNetmaskInPool(t *testing.T) {
	cfg := Config{Site: testSite(), Interfaces: []Interface{testIface}, Leases: t.TempDir() + "/leases.db"}
	cfg.Site.Netmask = 16
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if want := netip.MustParsePrefix("10.77.0.1/16"); s.pools[0].network != want {
		t.Errorf("the pool is of the network %s, want %s", s.pools[0].network, want)
	}
}

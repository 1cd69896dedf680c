package network

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/initramfs/config"
)

// How long which NIC is waited for when another has an answer.
func TestDecide(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	mac := func(last byte) net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0, 0, last} }
	const one, two = "52:54:00:00:00:01", "52:54:00:00:00:02"
	ip := func(a, b byte) offers { return offers{address: &dhcpv4.DHCPv4{YourIPAddr: net.IP{a, b, 0, 7}}} }
	for name, tt := range map[string]struct {
		cfg      config.Network
		deadEnds map[string]bool
		offered  offers // to NIC 1, after 3 s
		other    *nic   // NIC 2
		until    int    // NIC 1 is taken after so many seconds
	}{
		"alone":                              {offered: ip(10, 0), until: 3},
		"another one without answer":         {offered: ip(10, 0), other: &nic{carrier: true, linked: at(2)}, until: 3},
		"the boot NIC":                       {cfg: config.Network{MAC: one}, offered: ip(10, 0), other: &nic{carrier: true, linked: at(2)}, until: 3},
		"the boot NIC has link only":         {cfg: config.Network{MAC: two}, offered: ip(10, 0), other: &nic{carrier: true, linked: at(2)}, until: 62},
		"the boot NIC has no link":           {cfg: config.Network{MAC: two}, offered: ip(10, 0), other: &nic{seen: at(1)}, until: 11},
		"the boot NIC is broken":             {cfg: config.Network{MAC: two}, offered: ip(10, 0), other: &nic{carrier: true, linked: at(2), failures: 2}, until: 3},
		"the boot NIC isn't there":           {cfg: config.Network{MAC: two}, offered: ip(10, 0), until: 4},
		"link-local, alone":                  {offered: ip(169, 254), until: 3},
		"link-local, and one with link":      {offered: ip(169, 254), other: &nic{carrier: true, linked: at(2)}, until: 62},
		"link-local, and one without":        {offered: ip(169, 254), other: &nic{seen: at(0)}, until: 10},
		"link-local by the boot NIC":         {cfg: config.Network{MAC: one}, offered: ip(169, 254), other: &nic{carrier: true, linked: at(2)}, until: 62},
		"a dead end, alone":                  {deadEnds: map[string]bool{one: true}, offered: ip(10, 0), until: 3},
		"a dead end, and one with link":      {deadEnds: map[string]bool{one: true}, offered: ip(10, 0), other: &nic{carrier: true, linked: at(2)}, until: 62},
		"two dead ends":                      {deadEnds: map[string]bool{one: true, two: true}, offered: ip(10, 0), other: &nic{carrier: true, linked: at(2)}, until: 3},
		"the boot NIC is the dead end":       {cfg: config.Network{MAC: two}, deadEnds: map[string]bool{two: true}, offered: ip(10, 0), other: &nic{carrier: true, linked: at(2)}, until: 3},
		"a static address, and the boot NIC": {cfg: config.Network{MAC: two}, other: &nic{seen: at(1)}, until: 11},
	} {
		t.Run(name, func(t *testing.T) {
			first := &nic{index: 1, name: "eth0", mac: mac(1), carrier: true}
			u := &upper{cfg: tt.cfg, deadEnds: tt.deadEnds, ev: func(string) {}, nics: map[int]*nic{1: first}}
			if tt.other != nil {
				tt.other.index, tt.other.name, tt.other.mac = 2, "eth1", mac(2)
				u.nics[2] = tt.other
			}
			a := &answer{nic: first, ifname: "eth0", offers: tt.offered, at: at(3), ctx: t.Context()}
			u.answers = []*answer{a}
			for second := 3; second < 120; second++ {
				if u.decide(at(second)) == nil {
					continue
				}
				if second != tt.until {
					t.Errorf("taken after %d s, want %d", second, tt.until)
				}
				return
			}
			t.Error("never taken")
		})
	}
}

// Of several answers the best is taken, and none whose link was lost.
func TestDecideBetweenAnswers(t *testing.T) {
	boot := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	offered := func(name string, mac byte, ctx context.Context, ip ...byte) *answer {
		return &answer{nic: &nic{mac: net.HardwareAddr{0x52, 0x54, 0, 0, 0, mac}}, ifname: name, ctx: ctx,
			offers: offers{address: &dhcpv4.DHCPv4{YourIPAddr: ip}}}
	}
	u := &upper{cfg: config.Network{MAC: boot.String()}, ev: func(string) {}}
	u.answers = []*answer{
		offered("local", 3, t.Context(), 169, 254, 0, 7), offered("second", 2, t.Context(), 10, 0, 0, 7),
		offered("third", 4, t.Context(), 10, 0, 0, 8), offered("lost", 1, gone, 10, 0, 0, 9),
	}
	if got := u.decide(time.Unix(1000, 0)); got == nil || got.ifname != "second" {
		t.Errorf("chosen %+v", got)
	}
	u.answers = append(u.answers, offered("boot", 1, t.Context(), 10, 0, 0, 10))
	if got := u.decide(time.Unix(1000, 0)); got == nil || got.ifname != "boot" {
		t.Errorf("chosen %+v", got)
	}
}

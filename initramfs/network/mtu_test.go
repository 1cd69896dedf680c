package network

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// mtuKernel sets MTUs as Linux does: a VLAN's may not be larger than that of the card below it (vlan_dev_change_mtu in
// net/8021q/vlan_dev.c), and a card's not larger than its driver can.
type mtuKernel struct {
	links map[int]netlink.Link
	most  int
	order []string
}

func (k *mtuKernel) LinkByIndex(index int) (netlink.Link, error) {
	if l := k.links[index]; l != nil {
		return l, nil
	}
	return nil, errors.New("no such device")
}

func (k *mtuKernel) LinkSetMTU(link netlink.Link, mtu int) error {
	limit := k.most
	if vlan, ok := link.(*netlink.Vlan); ok {
		limit = k.links[vlan.ParentIndex].Attrs().MTU
	}
	if mtu > limit {
		return unix.ERANGE
	}
	link.Attrs().MTU = mtu
	k.order = append(k.order, link.Attrs().Name)
	return nil
}

// Option 26 counts above a VLAN as well: the card below is set before it, and stays as it is where that isn't needed.
func TestMTUAboveAVLAN(t *testing.T) {
	for name, c := range map[string]struct {
		most, mtu int
		order     []string
		refused   string
	}{
		"jumbo frames":            {9216, 9000, []string{"eth0", "eth0.5"}, ""},
		"smaller than the card's": {9216, 1400, []string{"eth0.5"}, ""},
		"as it is":                {9216, 1500, nil, ""},
		"none":                    {9216, 0, nil, ""},
		"more than the card can":  {1500, 9000, nil, "eth0, the card below, doesn't take the MTU 9000"},
	} {
		t.Run(name, func(t *testing.T) {
			card := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "eth0", Index: 2, MTU: 1500}}
			vlan := &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "eth0.5", Index: 3, ParentIndex: 2, MTU: 1500}, VlanId: 5}
			k := &mtuKernel{links: map[int]netlink.Link{2: card, 3: vlan}, most: c.most}
			err := setMTU(k, vlan, c.mtu)
			if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("%v, want %q", err, c.refused)
			}
			if !slices.Equal(k.order, c.order) {
				t.Errorf("set were %q, want %q", k.order, c.order)
			}
		})
	}
}

package wol

import (
	"bytes"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/boottorrent/boottorrent/internal/need"
)

func TestPacket(t *testing.T) {
	mac, _ := net.ParseMAC("52:54:00:00:00:01")
	p := Packet(mac)
	if len(p) != 102 || !bytes.Equal(p[:6], []byte{255, 255, 255, 255, 255, 255}) || bytes.Count(p, mac) != 16 {
		t.Errorf("% x", p)
	}
}

// Each machine's packet comes out of each interface, whatever the routes say, and is seen
// at the other end of its cable.
func TestSend(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	need.Command(t, "ip", "iproute2")
	run("link", "set", "lo", "up")
	var on []Interface
	for i, name := range []string{"left", "right"} {
		run("link", "add", name, "type", "veth", "peer", "name", name+"-far")
		address := netip.AddrFrom4([4]byte{10, 88, byte(i), 1})
		run("addr", "add", address.String()+"/24", "dev", name)
		run("link", "set", name, "up")
		run("link", "set", name+"-far", "up")
		on = append(on, Interface{name, address})
	}
	for _, i := range on {
		awaitUp(t, i.Name)
	}
	run("route", "add", "default", "via", "10.88.0.254")
	first, _ := net.ParseMAC("52:54:00:00:00:01")
	second, _ := net.ParseMAC("52:54:00:00:00:02")
	heard := listen(t, "left-far", "right-far")
	sent := Send(t.Context(), append(on, Interface{"gone", netip.MustParseAddr("10.88.9.1")}), []net.HardwareAddr{first, second})
	if len(sent) != 3 || sent[0].Error != "" || sent[1].Error != "" || !strings.Contains(sent[2].Error, "wake on gone") {
		t.Errorf("sent: %+v", sent)
	}
	for name, packets := range heard(2 * rounds) {
		for _, mac := range []net.HardwareAddr{first, second} {
			n := 0
			for _, p := range packets {
				if bytes.HasSuffix(p, Packet(mac)) {
					n++
				}
			}
			if n != rounds {
				t.Errorf("at %s %d packets for %s came, want %d", name, n, mac, rounds)
			}
		}
	}
}

// awaitUp waits until an interface sends: the kernel drops what is sent between 'ip link set up' and the carrier's event.
func awaitUp(t *testing.T, name string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		link, err := netlink.LinkByName(name)
		if err == nil && link.Attrs().OperState == netlink.OperUp {
			return
		}
		if time.Since(began) > need.Patience {
			t.Fatalf("%s is not up: %v", name, err)
		}
	}
}

// listen reads what comes to the far ends of cables; heard waits until so many packets have come to each.
func listen(t *testing.T, names ...string) (heard func(n int) map[string][][]byte) {
	t.Helper()
	channels := map[string]chan []byte{}
	for _, name := range names {
		channels[name] = packets(t, name)
	}
	return func(n int) map[string][][]byte {
		all := map[string][][]byte{}
		end := time.After(10 * time.Second)
		for name, c := range channels {
			for len(all[name]) < n {
				select {
				case p := <-c:
					all[name] = append(all[name], p)
				case <-end:
					t.Fatalf("at %s %d packets came within 10 s, want %d", name, len(all[name]), n)
				}
			}
		}
		return all
	}
}

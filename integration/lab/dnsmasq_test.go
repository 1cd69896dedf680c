package lab

import (
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

func TestDnsmasqDHCP(t *testing.T) {
	need.Command(t, "dnsmasq", "dnsmasq-base")
	need.Command(t, "udhcpc", "udhcpc")
	room := ForTest(t)
	server, client := hosts(t, room)
	const delay = 2 * time.Second
	start := time.Now()
	dhcp, err := DnsmasqDHCPAfter(t.Context(), server, "10.77.1.10,10.77.1.20", delay)
	if err != nil {
		t.Fatal(err)
	}
	// It asks every second, and only shows what it gets.
	out, err := client.Command(t.Context(), "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "20", "-T", "1",
		"-s", "/bin/true").CombinedOutput()
	if err != nil {
		t.Fatalf("udhcpc: %v: %s", err, out)
	}
	if took := time.Since(start); took < delay {
		t.Errorf("a lease after %s, before the server was plugged in", took)
	}
	Await(t, dhcp, 5*time.Second, `DHCPACK\(eth0\) 10\.77\.1\.(1\d|20) `)
}

package lab

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

// Two networks reach each other by a router alone, which counts what passes, at the speed of its cable. A machine of one gets its address
// from a DHCP server in the other one, by a relay.
func TestRouterBetweenTwoNetworks(t *testing.T) {
	need.Command(t, "dnsmasq", "dnsmasq-base")
	need.Command(t, "udhcpc", "udhcpc")
	ctx, room := t.Context(), ForTest(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(room.Switch("east"))
	const rate, size = 20e6, 5_000_000
	router, err := room.Router("router", Side{Addr: "10.77.0.254/16"}, Side{"10.78.0.254/16", Cable{Switch: "east", Down: rate, Up: rate}})
	must(err)
	server, err := room.Host("a", Addr("10.77.0.1/16"), Gateway("10.77.0.254"))
	must(err)
	client, err := room.Host("b", Addr("10.78.0.1/16"), Gateway("10.78.0.254"), Wire(Cable{Switch: "east"}))
	must(err)
	_, err = room.Host("c", Wire(Cable{Switch: "west"}))
	if err == nil {
		t.Error("a cable is plugged into a switch that isn't there")
	}

	l, err := server.Listen(0)
	must(err)
	defer l.Close()
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), size)) }))
	}()
	inBefore, outBefore, err := router.Carried("eth1")
	must(err)
	began := time.Now()
	resp, err := client.HTTP().Get("http://" + l.Addr().String())
	must(err)
	n, err := io.Copy(io.Discard, resp.Body)
	must(err)
	took := time.Since(began)
	in, out, err := router.Carried("eth1")
	must(err)
	in, out = in-inBefore, out-outBefore
	t.Logf("%d bytes took %s; the router's card has received %d and sent %d", n, took, in, out)
	if n != size || out < size || out > size*11/10 || in > size/10 {
		t.Errorf("%d bytes arrived of %d; %d went out and %d came back", n, size, out, in)
	}
	if least := 0.8 * size * 8 / rate; took.Seconds() < least {
		t.Errorf("%s for what takes %.1f s", took, least)
	}
	if _, _, err := router.Carried("eth7"); err == nil {
		t.Error("a card that isn't there has counters")
	}

	dhcp, err := Dnsmasq(ctx, server, "--dhcp-range=10.77.1.10,10.77.1.20,255.255.0.0,1h", "--dhcp-range=10.78.1.10,10.78.1.20,255.255.0.0,1h")
	must(err)
	_, err = DnsmasqRelay(ctx, router, "10.78.0.254", server.IP().String())
	must(err)
	fresh, err := room.Host("fresh", Wire(Cable{Switch: "east"}))
	must(err)
	said, err := fresh.Command(ctx, "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "20", "-T", "1", "-s", "/bin/true").CombinedOutput()
	if err != nil {
		t.Fatalf("udhcpc: %v: %s", err, said)
	}
	Await(t, dhcp, 5*time.Second, fmt.Sprintf(`DHCPACK\(eth0\) %s\d `, `10\.78\.1\.1`))
}

package main

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"

	"github.com/boottorrent/boottorrent/internal/need"
)

// inNamespace gives the test a network namespace of its own, which has a loopback interface and nothing else.
func inNamespace(t *testing.T) {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
}

func TestIP(t *testing.T) {
	inNamespace(t)
	for _, c := range []struct{ command, want, without, wrong string }{
		{"", "1: lo: <LOOPBACK> mtu 65536 state DOWN\n    link/loopback", "inet", ""},
		{"link set lo up", "", "", ""},
		{"l", "lo: <UP,LOOPBACK,RUNNING>", "inet", ""},
		{"a", "    inet 127.0.0.1/8 scope host\n", "", ""},
		{"addr add 10.9.0.1/24 dev lo", "", "", ""},
		{"addr show", "inet 10.9.0.1/24", "", ""},
		{"route add 10.10.0.0/16 via 10.9.0.7", "", "", ""},
		{"route add default dev lo", "", "", ""},
		{"r", "10.10.0.0/16 via 10.9.0.7 dev lo", "", ""},
		{"route", "default dev lo", "", ""},
		{"route del default dev lo", "", "", ""},
		{"route list", "10.10.0.0/16", "default", ""},
		{"addr del 10.9.0.1/24 dev lo", "", "", ""},
		{"address", "127.0.0.1/8", "10.9.0.1", ""},
		{"link set dev lo down", "", "", ""},
		{"link", "state DOWN", "UP,", ""},
		{"neigh", "", "x", ""},
		{"addr add 10.9.0.1 dev", "", "", "this is what it understands"},
		{"addr add ten dev lo", "", "", "ADDRESS/PREFIX"},
		{"addr add 10.9.0.1/24 dev eth7", "", "", "eth7"},
		{"link set eth7 up", "", "", "eth7"},
		{"link set lo sideways", "", "", "this is what it understands"},
		{"route add 10.0.0.0/8 via gateway", "", "", "is not an address"},
		{"route add 10.0.0.0/8", "", "", "this is what it understands"},
		{"route add there dev lo", "", "", "neither default nor"},
		{"neigh flush", "", "", "this is what it understands"},
		{"xfrm", "", "", "this is what it understands"},
	} {
		var out bytes.Buffer
		err := run(strings.Fields(c.command), &out)
		if (err != nil) != (c.wrong != "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("ip %s: error %v, want one with %q", c.command, err, c.wrong)
		}
		if got := out.String(); !strings.Contains(got, c.want) || c.without != "" && strings.Contains(got, c.without) {
			t.Errorf("ip %s prints\n%s\nwant %q and no %q", c.command, got, c.want, c.without)
		}
	}
}

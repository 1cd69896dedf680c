package lab

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

// A node's card has the speed given, in both directions. No machine is needed to see that.
func TestTapSpeed(t *testing.T) {
	need.Namespaces(t)
	need.File(t, "/dev/net/tun", "a kernel with tun")
	room := ForTest(t)
	host, err := room.Host("a", Addr("10.77.0.1/16"))
	if err != nil {
		t.Fatal(err)
	}
	ns, err := room.namespace("n1")
	if err != nil {
		t.Fatal(err)
	}
	node := &Node{room: room, ns: ns}
	if err := node.plug(0, NIC{Cable: Cable{Down: 40e6, Up: 20e6}}); err != nil {
		t.Fatal(err)
	}
	// It takes QEMU's place.
	tap, err := openTap(ns, tapName(0))
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()

	assertRate(t, "from the node", 20e6, func() float64 {
		return received(t, host, func(until time.Time) error { return sendFrames(tap, until) })
	})
	assertRate(t, "to the node", 40e6, func() float64 {
		down, err := receiveBroadcasts(t, tap, host)
		if err != nil {
			t.Fatal(err)
		}
		return down
	})

	if err := node.SetForwarding(t.Context(), 0, false); err != nil {
		t.Fatal(err)
	}
	before := counter(t, host)
	if err := sendFrames(tap, time.Now().Add(100*time.Millisecond)); err != nil {
		t.Errorf("the link is down on the node's side, too: %v", err)
	}
	if after := counter(t, host); after != before {
		t.Errorf("%d bytes came through a port that does not forward", after-before)
	}
}

// assertRate checks that a cable is no faster than it should be. What waited before the measurement comes in it where something else
// has the processors, so there are three tries; how slow a cable may be is the machine's matter, so it only has to carry something.
func assertRate(t *testing.T, what string, want float64, measure func() float64) {
	t.Helper()
	var got float64
	for range 3 {
		got = measure()
		t.Logf("%s: %.1f Mbit/s of frames, want %.0f", what, got/1e6, want/1e6)
		if got > 0 && got <= want*1.10 {
			return
		}
	}
	t.Errorf("%s: %.1f Mbit/s, want up to %.0f and 10 %%", what, got/1e6, want/1e6)
}

// sendFrames broadcasts full-sized frames of the protocol number for experiments (IEEE 802, 0x88b5), as fast as it can.
func sendFrames(tap *os.File, until time.Time) error {
	frame := make([]byte, 1514)
	copy(frame, "\xff\xff\xff\xff\xff\xff\x52\x54\x00\x00\x01\x01\x88\xb5")
	for time.Now().Before(until) {
		if _, err := tap.Write(frame); err != nil {
			return err
		}
	}
	return nil
}

// received returns how many bits per second reach the host in the second half of the time in which send sends.
func received(t *testing.T, host *Host, send func(until time.Time) error) float64 {
	t.Helper()
	start := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- send(start.Add(2 * time.Second)) }()
	time.Sleep(time.Second) // the measurement: a rate is bytes by time
	first, from := counter(t, host), time.Now()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	return float64(counter(t, host)-first) * 8 / time.Since(from).Seconds()
}

// counter returns the bytes the host's eth0 has received.
func counter(t *testing.T, host *Host) int64 {
	t.Helper()
	n, _, err := host.Carried("eth0")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// receiveBroadcasts lets the host broadcast as fast as it can and returns bits per second at the tap device.
func receiveBroadcasts(t *testing.T, tap *os.File, host *Host) (float64, error) {
	t.Helper()
	conn, err := host.Dial(t.Context(), "udp4", "10.77.255.255:9")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := make(chan struct{})
	defer close(stop)
	go broadcast(conn, stop)

	var from time.Time
	var bytes int
	start := time.Now()
	buf := make([]byte, 4096)
	for {
		n, err := tap.Read(buf)
		if err != nil {
			return 0, fmt.Errorf("read from the tap device: %w", err)
		}
		switch {
		case from.IsZero() && time.Since(start) > 500*time.Millisecond: // the queue is full
			from = time.Now()
		case !from.IsZero():
			bytes += n
		}
		if !from.IsZero() && time.Since(from) > time.Second {
			return float64(bytes) * 8 / time.Since(from).Seconds(), nil
		}
	}
}

func broadcast(conn net.Conn, stop <-chan struct{}) {
	datagram := make([]byte, 1472)
	for {
		select {
		case <-stop:
			return
		default:
			// A full queue drops it, which is meant.
			_, _ = conn.Write(datagram)
		}
	}
}

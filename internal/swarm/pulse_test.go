package swarm

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestPulsePeriod(t *testing.T) {
	for _, c := range []struct {
		bytes   int64
		elapsed time.Duration
		peers   int
		want    time.Duration
	}{
		{0, time.Second, pulsePeers, 0}, {leastRate - 1, time.Second, pulsePeers, 0}, // nothing to speak of
		{4 << 20, time.Second, pulsePeers - 1, 0}, // each has too little to send
		{leastRate, time.Second, pulsePeers, longestPulse}, {1 << 20, time.Second, pulsePeers, longestPulse},
		{6 << 20, time.Second, pulsePeers, 15625 * time.Microsecond}, {3 << 20, 500 * time.Millisecond, pulsePeers, 15625 * time.Microsecond},
		{75 << 18, time.Second, pulsePeers, 5 * time.Millisecond}, {19 << 20, time.Second, pulsePeers, 0}, {1 << 30, time.Second, pulsePeers, 0}, // fast
	} {
		if got := pulsePeriod(c.bytes, c.elapsed, c.peers); got != c.want {
			t.Errorf("%d bytes in %s of %d peers: pulses %s apart, want %s", c.bytes, c.elapsed, c.peers, got, c.want)
		}
	}
}

// TestPulses transfers slowly, fast and not at all.
func TestPulses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse()
		second := func(bytes int) time.Duration {
			for range 100 {
				time.Sleep(10 * time.Millisecond)
				p.peers.Store(pulsePeers)
				p.moved(bytes / 100)
			}
			return time.Duration(p.period.Load())
		}
		if got := p.until(haveTime); got != haveTime {
			t.Errorf("before anything came it is %s until something in %s", got, haveTime)
		}
		if got := second(40 << 20); got != 0 {
			t.Errorf("pulses %s apart on a fast link", got)
		}
		// They are 15.6 ms apart now, counted from p.zero.
		if got := second(6 << 20); got.Round(time.Millisecond) != 16*time.Millisecond {
			t.Errorf("pulses %s apart on a slow link", got)
		}
		period := time.Duration(p.period.Load())
		for after := time.Duration(0); after < 100*time.Millisecond; after += time.Millisecond {
			at := p.until(after)
			if at <= after || at > after+period || (time.Since(p.zero)+at)%period != 0 {
				t.Errorf("%s from now is before a pulse in %s, they are %s apart", after, at, period)
			}
		}
		if got := second(0); got != 0 {
			t.Errorf("pulses %s apart where nothing comes", got)
		}
	})
}

// pulseLink is a connection that is read at pulses of the given distance, and its other end. Nothing changes that within a second.
func pulseLink(t *testing.T, period time.Duration) (*pulsed, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	there, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	p := newPulse()
	p.period.Store(int64(period))
	p.looked.Store(int64(time.Hour))
	return newPulsed(here, p).(*pulsed), there.(*net.TCPConn)
}

// lowWater is how many bytes have to come to wake who reads.
func (c *pulsed) lowWater(t *testing.T) (bytes int) {
	t.Helper()
	err := c.raw.Control(func(fd uintptr) {
		var err error
		if bytes, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
	return bytes
}

// TestReadAtPulses reads what comes bit by bit, to the end. The kernel wakes nobody for it.
func TestReadAtPulses(t *testing.T) {
	c, peer := pulseLink(t, 20*time.Millisecond)
	for _, m := range [][]byte{have(1), request(2), make([]byte, 100_000)} {
		go func() {
			if _, err := peer.Write(m); err != nil {
				t.Error(err)
			}
		}()
		if _, err := io.ReadFull(c, make([]byte, len(m))); err != nil {
			t.Fatal(err)
		}
		if got := c.lowWater(t); got != pulseLow {
			t.Errorf("it is woken for %d bytes, want %d", got, pulseLow)
		}
	}
	c.pulse.period.Store(0)
	if _, err := peer.Write(have(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, haveLen)); err != nil || c.lowWater(t) != 1 {
		t.Errorf("without pulses it is woken for %d bytes (%v), want 1", c.lowWater(t), err)
	}
	c.pulse.period.Store(int64(time.Millisecond))
	if _, err := peer.Write(have(1)); err != nil {
		t.Fatal(err)
	}
	if err := peer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c); len(rest) != haveLen || err != nil {
		t.Errorf("%d bytes, %v; want the last message and the end", len(rest), err)
	}
}

// TestPeersThatBringSomething counts a connection once between two looks, and one that brings little not at all.
func TestPeersThatBringSomething(t *testing.T) {
	c := &pulsed{pulse: newPulse()}
	c.pulse.looked.Store(int64(time.Hour))
	for i, step := range []struct {
		n, want int
	}{{pulseShare - 1, 0}, {1, 1}, {pulseShare, 1}, {10 * pulseShare, 1}} {
		if c.received(step.n); int(c.pulse.peers.Load()) != step.want {
			t.Errorf("step %d: %d peers, want %d", i, c.pulse.peers.Load(), step.want)
		}
	}
	c.pulse.look.Add(1)
	if c.received(pulseShare); c.pulse.peers.Load() != 2 {
		t.Errorf("after another look %d peers, want one more", c.pulse.peers.Load())
	}
}

// TestPulsesEnd has reads end that wait for a pulse: by a deadline, by the peer's reset, by closing.
func TestPulsesEnd(t *testing.T) {
	c, peer := pulseLink(t, time.Millisecond)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v after the deadline", err)
	}
	if err := errors.Join(c.SetReadDeadline(time.Time{}), peer.SetLinger(0), peer.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v after the peer reset the connection", err)
	}
	c, _ = pulseLink(t, time.Millisecond)
	time.AfterFunc(10*time.Millisecond, func() { _ = c.Close() })
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v after it was closed here", err)
	}
}

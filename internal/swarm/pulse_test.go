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
		rate  float64
		peers int
		want  time.Duration
	}{
		{0, pulsePeers, 0}, {leastRate - 1, pulsePeers, 0}, // nothing to speak of
		{4 << 20, pulsePeers - 1, 0}, // each has too little to send
		{leastRate, pulsePeers, longestPulse}, {1 << 20, pulsePeers, longestPulse}, {leastRate, 48, 144 * time.Millisecond}, {1 << 20, 48, 93750 * time.Microsecond},
		{6 << 20, pulsePeers, 15625 * time.Microsecond}, {6 << 20, 48, 15625 * time.Microsecond},
		{75 << 18, pulsePeers, 5 * time.Millisecond}, {19 << 20, pulsePeers, 0}, {1 << 30, pulsePeers, 0}, // fast
	} {
		if got := pulsePeriod(c.rate, c.peers); got != c.want {
			t.Errorf("%g bytes a second of %d peers: pulses %s apart, want %s", c.rate, c.peers, got, c.want)
		}
	}
}

func TestPulseWindow(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		peers int
		want  int64
	}{
		{1 << 20, 4, 0}, {1 << 20, 8, 0}, {1 << 20, 9, crowdBytes / 9}, {1 << 20, 16, 16 << 10}, {1 << 20, 48, crowdBytes / 48}, {1 << 20, 80, leastWindow},
		{20e6, 16, 31250}, {20e6, 50, 10_000}, {25e6, 16, 0}, // 80 and 100 Mbit/s each way
	} {
		if got := pulseWindow(c.rate, c.peers); got != c.want {
			t.Errorf("%g bytes a second of %d peers: a window of %d bytes, want %d", c.rate, c.peers, got, c.want)
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

// TestWindow has each peer of a crowd send no more than its part, also when the kernel has raised the window meanwhile.
func TestWindow(t *testing.T) {
	c, peer := pulseLink(t, time.Millisecond)
	window := func() (bytes int) {
		t.Helper()
		if _, err := peer.Write(have(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, haveLen)); err != nil {
			t.Fatal(err)
		}
		err := c.raw.Control(func(fd uintptr) {
			var err error
			if bytes, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_WINDOW_CLAMP); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	free := window()
	if free < mostWindow {
		t.Fatalf("the kernel's own window is %d bytes", free)
	}
	c.pulse.window.Store(8 << 10)
	if got := window(); got != 8<<10 {
		t.Errorf("a window of %d bytes, want %d", got, 8<<10)
	}
	c.setLow(1 << 20) // raises it
	if got := window(); got != 8<<10 {
		t.Errorf("after the kernel raised it a window of %d bytes, want %d", got, 8<<10)
	}
	c.pulse.window.Store(0)
	if got := window(); got < free {
		t.Errorf("without pulses a window of %d bytes, want %d or more", got, free)
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

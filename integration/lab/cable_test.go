package lab

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hosts makes hosts a and b, with a's cable of the given speed.
func hosts(t *testing.T, room *Room, opts ...HostOption) (a, b *Host) {
	t.Helper()
	a, err := room.Host("a", append(opts, Addr("10.77.0.1/16"))...)
	if err != nil {
		t.Fatal(err)
	}
	b, err = room.Host("b", Addr("10.77.0.2/16"))
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func listen(t *testing.T, h *Host) net.Listener {
	t.Helper()
	l, err := h.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// throughput sends over TCP from one host to another for 2.5 s and returns payload bits per second at the
// receiver.
func throughput(t *testing.T, from, to *Host) float64 {
	t.Helper()
	l := listen(t, to)
	result := make(chan float64, 1)
	go func() {
		defer close(result)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		// The first second is not counted: TCP's slow start overfills the queue, and repairing that holds data back.
		buf := make([]byte, 64<<10)
		var n, bytes int64
		start := time.Now()
		var since time.Time
		for err == nil {
			var m int
			m, err = conn.Read(buf)
			n += int64(m)
			if since.IsZero() && time.Since(start) > time.Second {
				since, bytes = time.Now(), n
			}
			if !since.IsZero() && time.Since(since) > 1500*time.Millisecond {
				break
			}
		}
		result <- float64(n-bytes) * 8 / time.Since(since).Seconds()
	}()
	conn, err := from.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// It ends when the receiver has seen enough and closes.
	_, _ = io.Copy(conn, endless{})
	return <-result
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestCableSpeed(t *testing.T) {
	room := ForTest(t)
	a, b := hosts(t, room, Rates(40e6, 20e6))
	for name, c := range map[string]struct {
		from, to *Host
		want     float64
	}{
		"to the host, 40 Mbit/s":   {b, a, 40e6},
		"from the host, 20 Mbit/s": {a, b, 20e6},
	} {
		t.Run(name, func(t *testing.T) {
			got := throughput(t, c.from, c.to)
			t.Logf("%.1f Mbit/s of payload", got/1e6)
			if math.Abs(got/c.want-1) > 0.10 {
				t.Errorf("payload at %.1f Mbit/s, want %.0f within 10 %%", got/1e6, c.want/1e6)
			}
		})
	}
}

func TestCableWithoutLimit(t *testing.T) {
	room := ForTest(t, MTU(4000))
	a, b := hosts(t, room)
	got := throughput(t, a, b)
	t.Logf("%.0f Mbit/s", got/1e6)
	if got < 400e6 {
		t.Errorf("%.0f Mbit/s over a cable without limit", got/1e6)
	}
}

// TestIntroduced has hosts know each other without asking, and for good, and reach each other so.
func TestIntroduced(t *testing.T) {
	room := ForTest(t)
	a, b := hosts(t, room)
	if err := room.Introduce(a, b); err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]*Host{{a, b}, {b, a}} {
		out, err := pair[0].Command(t.Context(), "ip", "neigh", "show", "nud", "permanent").Output()
		if err != nil || !strings.HasPrefix(string(out), pair[1].IP().String()+" ") {
			t.Errorf("%s knows for good %q (%v), want %s", pair[0].Name, out, err, pair[1].IP())
		}
	}
	l := listen(t, a)
	conn, err := b.Dial(t.Context(), "tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestHost(t *testing.T) {
	room := ForTest(t)
	a, b := hosts(t, room)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "you are "+r.RemoteAddr)
	}))
	server.Listener = listen(t, a)
	server.Start()
	defer server.Close()

	response, err := b.HTTP().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || !strings.HasPrefix(string(body), "you are 10.77.0.2:") {
		t.Errorf("got %q, %v; want an answer that names host b", body, err)
	}

	process, err := b.Start(t.Context(), "sh", "-c", "echo ready; ip -o -4 addr show dev eth0; exec sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	Await(t, process, 10*time.Second, `ready\n.*inet 10\.77\.0\.2/16`)
	process.Stop()
	if err := process.Wait(t.Context()); err == nil {
		t.Error("a stopped process has ended well")
	}
	if _, err := room.Host("a"); err == nil || !strings.Contains(err.Error(), `"a" already`) {
		t.Errorf("a second host a: %v", err)
	}
}

func TestPulledCable(t *testing.T) {
	room := ForTest(t)
	a, b := hosts(t, room)
	l := listen(t, a)
	if err := a.SetLink(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if conn, err := b.Dial(ctx, "tcp", l.Addr().String()); err == nil {
		conn.Close()
		t.Error("connected over a pulled cable")
	}
	if err := a.SetLink(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	conn, err := b.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestCloseRemovesEverything(t *testing.T) {
	room := ForTest(t)
	a, _ := hosts(t, room)
	process, err := a.Start(t.Context(), "sleep", "1000")
	if err != nil {
		t.Fatal(err)
	}
	if err := room.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-process.Done():
	default:
		t.Error("a process still runs")
	}
	assertNoTrace(t, room)
	if err := room.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// assertNoTrace checks that nothing of a room is left.
func assertNoTrace(t *testing.T, room *Room) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(netnsDir, room.id+"-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("namespaces left: %v, %v", left, err)
	}
	if _, err := os.Stat(room.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", room.dir, err)
	}
}

// A room whose process died is a room whose lock nobody holds.
func TestLeftoversAreRemoved(t *testing.T) {
	dead := ForTest(t)
	host, _ := hosts(t, dead)
	orphan := host.Command(t.Context(), "sleep", "1000")
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	dead.lock.Close()

	next := ForTest(t) // which may get the dead room's name
	if err := orphan.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the dead room's process: %v; want it killed", err)
	}
	if _, err := os.Stat(filepath.Join(netnsDir, string(host.ns))); !os.IsNotExist(err) {
		t.Errorf("the dead room's namespace %s is left: %v", host.ns, err)
	}
	if _, err := os.Stat(next.dir); err != nil {
		t.Errorf("the new room: %v", err)
	}
}

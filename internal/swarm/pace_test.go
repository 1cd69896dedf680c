package swarm

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestRequestsToTheSeederWait has a request, with a have message before it or not, wait, and other messages not.
func TestRequestsToTheSeederWait(t *testing.T) {
	request := []byte{0, 0, 0, 13, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 64, 0}
	have := []byte{0, 0, 0, 5, 4, 0, 0, 0, 1}
	for _, c := range []struct {
		name    string
		message []byte
		want    time.Duration
	}{
		{"request", request, 16384 * time.Millisecond}, {"have and request", append(have, request...), 16384 * time.Millisecond}, {"have", have, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				defer here.Close()
				defer there.Close()
				began := time.Now()
				pause := func(bytes int64) time.Duration { return time.Duration(bytes) * time.Millisecond }
				go func() { _, _ = pacedConn{here, func() bool { return true }, pause}.Write(c.message) }()
				b := make([]byte, 100)
				if n, err := there.Read(b); n != len(c.message) || err != nil || time.Since(began) != c.want {
					t.Errorf("%d bytes came after %s (%v), want %d after %s", n, time.Since(began), err, len(c.message), c.want)
				}
			})
		})
	}
}

// TestProcessorsAreBusy shows it what the kernel says.
func TestProcessorsAreBusy(t *testing.T) {
	var p processors
	for _, c := range []struct {
		stat string
		want bool
	}{
		{"cpu  50 0 50 100 0 0 0 0 0 0\ncpu0 1", false}, {"cpu  100 0 90 109 0 0 0 0 0 0\n", true}, {"cpu  100 0 100 200 10 10 0 0 0 0\n", false},
		{"no numbers", false}, {"cpu  200 0 110 205 10 10 0 0 0 0\n", true},
	} {
		if p.count(c.stat); p.busy.Load() != c.want {
			t.Errorf("%q: busy: %t, want %t", c.stat, !c.want, c.want)
		}
	}
}

// TestIdleProgramIsNotHeldUp has a program do next to nothing, whatever others do, and then begin anew.
func TestIdleProgramIsNotHeldUp(t *testing.T) {
	p := processors{all: 300, idle: 100} // and it has used nothing since long ago
	p.busy.Store(true)
	if p.look(); p.busy.Load() {
		t.Error("an idle program takes the processors for busy")
	}
	if p.count("cpu  900 0 900 100 0 0 0 0 0 0\n"); p.busy.Load() {
		t.Error("the time when it was idle counts")
	}
}

// TestSeederPause has a torrent with two connections: the node waits only if others have what it lacks.
func TestSeederPause(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 1<<20)
	seeder := newSeeder(t, s, Config{})
	node := newNode(t, "127.0.0.58")
	if err := node.Fetch(t.Context(), s.source(t.TempDir(), seeder.addrPort()), nil); err != nil {
		t.Fatal(err)
	}
	f := node.entry(s.system.InfoHash)
	node.conns.mu.Lock()
	f.connections = 2
	node.conns.mu.Unlock()
	for left, want := range map[int64]time.Duration{1: 0, 0: 2 * pauseTime} {
		f.window.left.Store(left)
		if got := node.pauseWhenBusy(); got != want {
			t.Errorf("with %d bytes to come from the seeder: %s, want %s", left, got, want)
		}
	}
}

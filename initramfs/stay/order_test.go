package stay

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/order"
)

// A system ends as by its own command, and by the kernel where it doesn't; also when the network, and the reports with it, are gone first.
func TestEnding(t *testing.T) {
	for _, c := range []struct {
		init   string
		action order.Action
		signal unix.Signal
		words  string
	}{
		{"systemd", order.Reboot, 39, "systemd restarts the machine, by SIGRTMIN+5"},
		{"systemd", order.PowerOff, 38, "systemd switches off the machine, by SIGRTMIN+4"},
		{"init", order.Reboot, unix.SIGINT, "init restarts the machine, by SIGINT"},
		{"init", order.PowerOff, unix.SIGUSR2, "init switches off the machine, by SIGUSR2"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got unix.Signal
			var ended order.Action
			e := &ending{log: t.Logf, init: func() (string, error) { return c.init, nil }, kill: func(s unix.Signal) error { got = s; return nil },
				now: func(a order.Action) error { ended = a; return nil }, after: wait}
			ctx, cancel := context.WithCancel(t.Context())
			text, do, err := e.decide(ctx, order.Order{Action: c.action})
			if err != nil || !strings.Contains(text, c.words) || got != 0 {
				t.Fatalf("%s %s: %q, %v, signal %v", c.init, c.action, text, err, got)
			}
			do()
			cancel()
			synctest.Wait()
			if got != c.signal || ended != "" {
				t.Errorf("%s %s: signal %d, want %d; ended at once: %q", c.init, c.action, got, c.signal, ended)
			}
			time.Sleep(patience)
			synctest.Wait()
			if ended != c.action {
				t.Errorf("%s %s: after %s it is %q", c.init, c.action, patience, ended)
			}
		})
	}
	e := &ending{init: func() (string, error) { return "", errors.New("no proc") }}
	if _, _, err := e.decide(t.Context(), order.Order{Action: order.Choose, System: "x"}); err == nil {
		t.Error("another system is started beside the one that runs")
	}
	if s, _ := e.signal(order.Reboot); s != unix.SIGINT {
		t.Errorf("an init that nobody can name gets %v", s)
	}
}

// The name of process 1 is found without a path to any /proc.
func TestInitName(t *testing.T) {
	need.Root(t)
	want, err := os.ReadFile("/proc/1/comm")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := initName(); err != nil || got != strings.TrimSpace(string(want)) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// withScreen runs n.withScreen in the background and returns what it will return.
func withScreen(t *testing.T, n *Node, work func(context.Context, func(menu.TransferMsg)) error) <-chan error {
	t.Helper()
	got := make(chan error, 1)
	go func() { got <- n.withScreen(t.Context(), kexec("a"), work) }()
	return got
}

func result(t *testing.T, got <-chan error) error {
	t.Helper()
	select {
	case err := <-got:
		return err
	case <-time.After(patience):
		t.Fatal("withScreen does not return")
	}
	return nil
}

func TestScreenEndsWithTheWork(t *testing.T) {
	full := errors.New("memory is full")
	for _, want := range []error{nil, full} {
		n, p := newNode(t, "")
		goOn := make(chan struct{})
		got := withScreen(t, n, func(_ context.Context, show func(menu.TransferMsg)) error {
			for i := range int64(100) { // more than a screen can take
				show(menu.TransferMsg{Transfer: wire.Transfer{Size: 100, Done: i}})
			}
			show(menu.TransferMsg{Transfer: wire.Transfer{Size: 100, Done: 42}})
			<-goOn
			return want
		})
		p.see("Fetching System a")
		close(goOn)
		if err := result(t, got); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		if n.console != "" {
			t.Errorf("nobody typed, and it is said to have been at %s", n.console)
		}
	}
}

// Who cancels or skips ends the work, and is heard only when that has ended.
func TestScreenEndedByAPerson(t *testing.T) {
	for _, c := range []struct {
		name, see, keys string
		phase           menu.Phase
		want            error
	}{
		{"skip", "goes on at once", "\r", menu.Seed, nil},
		{"cancel", "c cancel", "cc", menu.Fetch, boot.ErrCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, p := newNode(t, "")
			ended := false
			got := withScreen(t, n, func(ctx context.Context, show func(menu.TransferMsg)) error {
				show(menu.TransferMsg{Phase: c.phase, Transfer: wire.Transfer{Size: 1}, SeedLeft: time.Minute})
				<-ctx.Done()
				ended = true
				return ctx.Err()
			})
			p.see(c.see)
			p.send(c.keys)
			if err := result(t, got); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if !ended {
				t.Error("the work goes on")
			}
			if n.console != "ttyS0" {
				t.Errorf("somebody typed at ttyS0, and it is %q", n.console)
			}
		})
	}
}

// A screen that can't be shown keeps no work from being done.
func TestWorkWithoutAScreen(t *testing.T) {
	n, p := newNode(t, "")
	p.occupy(n)
	done := 0
	got := withScreen(t, n, func(ctx context.Context, show func(menu.TransferMsg)) error {
		for range 10 {
			show(menu.TransferMsg{})
			done++
		}
		return ctx.Err()
	})
	if err := result(t, got); err != nil || done != 10 {
		t.Errorf("%v after %d of 10 steps", err, done)
	}
}

func TestScreenEndsWithItsContext(t *testing.T) {
	n, p := newNode(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		got <- n.withScreen(ctx, kexec("a"), func(ctx context.Context, _ func(menu.TransferMsg)) error {
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	p.see("Fetching System a")
	cancel()
	if err := result(t, got); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestMessage(t *testing.T) {
	sys := kexec("a")
	for _, c := range []struct {
		name  string
		phase menu.Phase
		stats swarm.Stats
		want  menu.Phase
		note  string
	}{
		{"beginning", menu.Fetch, swarm.Stats{}, menu.Fetch, ""},
		{"on the way, with a tracker that fails", menu.Fetch, swarm.Stats{Transfer: wire.Transfer{Size: 9, Done: 3, Down: 5}, Trouble: "tracker"}, menu.Fetch, ""},
		{"stuck", menu.Fetch, swarm.Stats{Transfer: wire.Transfer{Size: 9, Done: 3}, Trouble: "tracker"}, menu.Fetch, "tracker"},
		{"checking", menu.Fetch, swarm.Stats{Transfer: wire.Transfer{Size: 9, Done: 9}, Verifying: true}, menu.Verify, ""},
		{"checked", menu.Fetch, swarm.Stats{Transfer: wire.Transfer{Size: 9, Done: 9}}, menu.Verify, ""},
		{"checked, of zeros alone", menu.Fetch, swarm.Stats{Transfer: wire.Transfer{Complete: true}}, menu.Verify, ""},
		{"nobody there", menu.Fetch, swarm.Stats{Transfer: wire.Transfer{Size: 9, Done: 3}, Trouble: "tracker: refused", Unreachable: true}, menu.Fetch,
			"The seeder doesn't answer: looking for other nodes that have this. Is it switched on, and its cable plugged in?"},
		{"seeding", menu.Seed, swarm.Stats{Transfer: wire.Transfer{Size: 9, Done: 9}, Trouble: "tracker"}, menu.Seed, ""},
	} {
		got := message(c.phase, sys, c.stats)
		if got.Phase != c.want || got.Note != c.note || got.Size != c.stats.Size || got.Done != c.stats.Done {
			t.Errorf("%s: %+v, want phase %v, note %q", c.name, got, c.want, c.note)
		}
	}
}

func TestSummary(t *testing.T) {
	s := swarm.Stats{Transfer: wire.Transfer{Size: 10 << 20, FromSeeder: 3 << 20, FromNodes: 7 << 20}}
	if got, want := summary(s, 5700*time.Millisecond), "10.0 MiB in 5.7 s, 3.0 MiB from the seeder, 7.0 MiB from other nodes"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.FromHTTP = 1 << 20
	if got, want := summary(s, time.Second), "10.0 MiB in 1.0 s, 3.0 MiB from the seeder, 7.0 MiB from other nodes, 1.0 MiB by HTTP"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/discover"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/initramfs/seen"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
)

func TestBackoff(t *testing.T) {
	for attempt, want := range map[int]time.Duration{
		0: 5 * time.Second, 1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 4: 40 * time.Second,
		5: time.Minute, 6: time.Minute, 1 << 40: time.Minute,
	} {
		if got := backoff(attempt); got != want {
			t.Errorf("after %d failures: %v, want %v", attempt, got, want)
		}
	}
}

func TestAdvice(t *testing.T) {
	dark := errors.New("dark")
	for _, c := range []struct {
		step       wire.Step
		err        error
		title, try string
	}{
		{wire.Fetch, fmt.Errorf("fetch: %w", &launch.MemoryError{}), "too little memory", "smaller system"},
		{wire.Catalog, fmt.Errorf("catalog: %w", catalog.ErrSignature), "is refused", "mkimage"},
		{wire.Catalog, &seen.OldError{Seen: 7, Offered: 5}, "older than one that this machine has seen", "clock is right"},
		{wire.Discover, &discover.NotFoundError{Tried: []discover.Attempt{{Err: dark}, {Err: &seen.OldError{Seen: 7, Stick: true}}}}, "is refused: it is older", "the stick remembers"},
		{wire.Hardware, dark, "devices", "mkimage"},
		{wire.Network, dark, "No network", "cable"},
		{wire.Discover, dark, "No seeder", "bt.seeder="},
		{wire.Catalog, dark, "catalog", "seeder check"},
		{wire.Fetch, dark, "could not be fetched", "keeps"},
		{wire.Launch, dark, "could not be started", "config.yaml"},
		{wire.Choose, dark, "choose failed", "again"},
	} {
		title, try := advice(c.step, c.err)
		if !strings.Contains(title, c.title) || !strings.Contains(try, c.try) {
			t.Errorf("%s, %v: %q, %q; want %q, %q", c.step, c.err, title, try, c.title, c.try)
		}
	}
}

func TestProblem(t *testing.T) {
	for _, c := range []struct {
		keys      string
		canChoose bool
		want      decision.Action
	}{
		{"o", true, decision.Choose},
		{"o\r", false, decision.Retry}, // o is not offered, Enter is
		{"s", true, decision.Shell},
		{"rr", true, decision.Reboot},
		{"pp", true, decision.PowerOff},
		{"\r", true, decision.Retry},
	} {
		t.Run(fmt.Sprintf("%q", c.keys), func(t *testing.T) {
			n, p := newNode(t, "http://127.0.0.1:1")
			got := make(chan decision.Action, 1)
			trouble := boot.Trouble{Step: wire.Fetch, Err: errors.New("the cable broke"), Attempt: 1, CanChoose: c.canChoose}
			go func() { got <- n.Problem(t.Context(), trouble) }()
			p.see("the cable broke")
			p.see("Trying again in")
			p.send(c.keys)
			if a := <-got; a != c.want {
				t.Errorf("action %v, want %v", a, c.want)
			}
			if n.console != "ttyS0" {
				t.Errorf("somebody typed at ttyS0, and it is %q", n.console)
			}
		})
	}
}

// Whatever failed, a cable that is not plugged in is said first.
func TestProblemNamesTheCable(t *testing.T) {
	n, p := newNode(t, "http://127.0.0.1:1")
	n.link.setLease(network.Lease{Interface: "nosuch0", Addr: netip.MustParsePrefix("10.0.0.7/24")})
	got := make(chan decision.Action, 1)
	go func() {
		got <- n.Problem(t.Context(), boot.Trouble{Step: wire.Fetch, Err: errors.New("no answer"), Attempt: 1})
	}()
	p.see("nosuch0 has lost its link")
	p.send("\r")
	<-got
}

// With no screen to show it on, a problem is waited out.
func TestProblemWithoutAScreen(t *testing.T) {
	n, p := newNode(t, "")
	p.occupy(n)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // instead of five seconds
	if a := n.Problem(ctx, boot.Trouble{Step: wire.Network, Err: errors.New("dark"), Attempt: 1}); a != decision.Retry {
		t.Errorf("action %v, want %v", a, decision.Retry)
	}
}

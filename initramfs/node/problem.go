package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/initramfs/seen"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
	wire "github.com/boottorrent/boottorrent/internal/report"
)

// A failed step is tried again by itself after retryFirst, then after twice as long each time, up to retryMost.
const (
	retryFirst = 5 * time.Second
	retryMost  = time.Minute
)

// Problem shows what failed on every console and waits for a person, or for the time to try again.
func (n *Node) Problem(ctx context.Context, t boot.Trouble) decision.Action {
	title, try := advice(t.Step, t.Err)
	if n.Cmdline.Medium != 0 && aboutNetwork(t.Step) {
		try += "\nThe stick or disc has a file for this: ip:, vlan: and seeder: in its " + mediumconf.Name + ", to be edited on any PC."
	}
	cause := n.cause(t)
	n.Log("%s: %s", title, cause)
	offered := []decision.Action{decision.Retry, decision.Shell, decision.Reboot, decision.PowerOff}
	if t.CanChoose {
		offered = slices.Insert(offered, 1, decision.Choose)
	}
	if canType(t.Step) {
		offered = append(offered, decision.Type)
	}
	guarded, over := context.WithCancel(ctx)
	defer over()
	events := make(chan tea.Msg)
	for {
		m := menu.NewProblem(title, cause, try, backoff(t.Attempt), offered...).At(n.place()).Locked(n.lock.guard(guarded, events))
		chosen, err := ask(ctx, n, m, events)
		if ctx.Err() != nil {
			return decision.Retry
		}
		if err != nil {
			n.Log("the screen failed: %v", err)
			sleep(ctx, backoff(t.Attempt))
			return decision.Retry
		}
		switch {
		case chosen.Action != decision.Type:
			return chosen.Action
		case n.typeSeeder(ctx, cause):
			return decision.Retry
		}
	}
}

// cause is why a step failed, with what may be behind it: a cable, or a line in the medium's configuration that is not followed.
func (n *Node) cause(t boot.Trouble) string {
	lines := []string{t.Err.Error()}
	if lost := n.link.lost(); lost != "" && t.Step != wire.Network {
		lines = slices.Insert(lines, 0, lost)
	}
	if aboutNetwork(t.Step) {
		lines = append(lines, n.Warnings...)
	}
	return strings.Join(lines, "\n")
}

// aboutNetwork is whether what is set on the kernel command line or in boottorrent.conf may be what a step fails of.
func aboutNetwork(step wire.Step) bool { return step == wire.Network || canType(step) }

func backoff(attempt int) time.Duration {
	d := retryFirst
	for ; attempt > 1 && d < retryMost; attempt-- {
		d *= 2
	}
	return min(d, retryMost)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// advice is what failed, for a headline, and what a person can do about it. The cause is in the error itself.
func advice(step wire.Step, err error) (title, try string) {
	var memory *launch.MemoryError
	var old *seen.OldError
	var nothing *noSystemError
	switch {
	case errors.As(err, &nothing):
		return "There is nothing to start on this machine's disk", "Choose another system, or install one on the disk."
	case errors.As(err, &old):
		return "The catalog is refused: it is older than one that this machine has seen", old.Advice()
	case errors.As(err, &memory):
		return "This machine has too little memory for the system",
			"Choose a smaller system, or put more memory into this machine."
	case errors.Is(err, boot.ErrRefused):
		return "This machine does not start the kernel of the system", "Choose another system. The cause above says what can be done about this one."
	case errors.Is(err, catalog.ErrSignature):
		return "The catalog is refused: its signature is not by this image's key",
			"Another seeder may have answered, or the site's key is new. Run mkimage for the site and start this machine again."
	}
	switch step {
	case wire.Hardware:
		return "The devices could not be set up", "Try again; if it stays, build the image anew with mkimage."
	case wire.Network:
		return "No network", "Check the cable, the switch's port and the DHCP server. A card without a driver needs mkimage --drivers."
	case wire.Discover:
		return "No seeder found", "Is the seeder running? Is its port open in its firewall? If it is elsewhere, press a and type its address, or name it: bt.seeder=http://ADDRESS:PORT on the kernel command line."
	case wire.Catalog:
		return "The catalog could not be read", "Is the seeder still running? See its log; check the site with 'seeder check'."
	case wire.Fetch:
		return "The system could not be fetched", "See the cause above; retrying keeps what has been downloaded and verified."
	case wire.Launch:
		return "The system could not be started", "See the cause above. Choose another system, or mend this one's config.yaml at the seeder."
	}
	return "The step " + string(step) + " failed", "Try again."
}

package node

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// withScreen does work while the transfer screen shows what work tells it. It ends when the work does, or when a person
// ends it: nil for going on at once, boot.ErrCancelled for the chooser.
func (n *Node) withScreen(ctx context.Context, sys catalog.System, work func(context.Context, func(menu.TransferMsg)) error) error {
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	over, screenOver := context.WithCancel(ctx)
	defer screenOver()
	events := make(chan tea.Msg, 1)
	show := func(m menu.TransferMsg) {
		select {
		case events <- m:
		default: // the screen has not taken the last one yet; the next will be newer
		}
	}
	result := make(chan error, 1)
	go func() {
		result <- work(working, show)
		select {
		case events <- menu.TransferDone{}:
		case <-over.Done():
		}
	}()
	answer, err := ask(ctx, n, menu.NewTransfer(n.place(), sys.Title), events)
	screenOver()
	if err != nil && ctx.Err() == nil {
		n.Log("the screen failed, the work goes on: %v", err)
		return <-result
	}
	switch answer.Action {
	case decision.Choose:
		err = boot.ErrCancelled
	case decision.Skip:
		err = nil
	default:
		return <-result
	}
	stopWork()
	<-result
	return err
}

// message is how a transfer stands, for its screen.
func message(phase menu.Phase, sys catalog.System, s swarm.Stats) menu.TransferMsg {
	if s.Verifying || phase == menu.Fetch && (s.Complete || s.Size > 0 && s.Done == s.Size) {
		phase = menu.Verify
	}
	m := menu.TransferMsg{Phase: phase, System: sys.Title, Transfer: s.Transfer}
	if phase == menu.Fetch && s.Down == 0 {
		// As long as something comes, it need not worry anybody.
		m.Note = s.Trouble
		if s.Unreachable {
			m.Note = "The seeder doesn't answer: looking for other nodes that have this. Is it switched on, and its cable plugged in?"
		}
	}
	if m.Note == "" && len(s.Banned) > 0 {
		m.Note = "Wrong data came from " + list(s.Banned) + ": no longer asked."
	}
	return m
}

// list is addresses as a person reads them.
func list(addresses []netip.Addr) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(addresses), " ", ", "), "[]")
}

// summary is what stays on the console of a download.
func summary(s swarm.Stats, took time.Duration) string {
	text := fmt.Sprintf("%s in %.1f s, %s from the seeder, %s from other nodes", menu.Size(s.Size), took.Seconds(),
		menu.Size(s.FromSeeder), menu.Size(s.FromNodes))
	if s.FromHTTP > 0 {
		text += ", " + menu.Size(s.FromHTTP) + " by HTTP"
	}
	return text
}

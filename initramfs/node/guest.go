package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// visit is a system that runs beside this program.
type visit struct {
	*Node
	sys   catalog.System
	guest launch.Guest
	began time.Time
	// trouble is why the guest could not be shown the last time.
	trouble error
}

// host runs a system beside this program until it ends, and returns what follows.
func (n *Node) host(ctx context.Context, method launch.Method, sys catalog.System) (choice decision.Decision, err error) {
	job, err := n.guestJob(sys)
	if err != nil {
		return choice, err
	}
	defer n.tidy()
	if err := method.Load(ctx, job); err != nil {
		return choice, err
	}
	guest, err := method.Start(ctx, job)
	if err != nil {
		return choice, err
	}
	v := &visit{Node: n, sys: sys, guest: guest, began: time.Now()}
	n.startAccounting(sys)
	leave := v.run(ctx)
	guest.Stop() // if it runs, which is so only when ctx has ended
	ended := n.Report.Snapshot().Uptime
	n.Report.Set(func(r *wire.Report) {
		exit := guest.Exit()
		exit.System, exit.At = sys.Name, ended
		r.Exit = &exit
	})
	if err := guest.Close(); err != nil {
		n.Log("%v", err)
	}
	n.tidy() // now: what it wrote is memory that the next one may want
	if err := n.Report.Post(ctx, poster{n.session}); err != nil {
		n.Log("the seeder did not take the report: %v", err)
	}
	return v.afterwards(ctx, leave)
}

// tidy clears up after a system. That it could not is no reason not to go on: the next start tries again.
func (n *Node) tidy() {
	if err := n.clearScratch(); err != nil {
		n.Log("%v", err)
	}
}

// run shows the guest until it has ended, and returns what a person decided, if one did.
func (v *visit) run(ctx context.Context) decision.Action {
	asking := v.guest.Face() == launch.FaceRemote
	for ctx.Err() == nil && !v.over() {
		if !asking {
			asking = v.attach(ctx)
			continue
		}
		switch leave := v.ask(ctx); leave {
		case decision.Back:
			asking = false
		case decision.Shell:
			v.shell(ctx, "ls /bbin lists all commands.")
		case decision.Quit, decision.SeedOn, decision.Reboot, decision.PowerOff:
			v.Log("%s is ended", v.sys.Title)
			v.guest.Stop()
			return leave
		}
	}
	return 0
}

// over reports whether the guest has ended.
func (v *visit) over() bool {
	select {
	case <-v.guest.Done():
		return true
	default:
		return false
	}
}

// given is how the seeding of its system stands; false if nothing is seeded.
func (v *visit) given() (swarm.Stats, bool) {
	if v.engine == nil {
		return swarm.Stats{}, false
	}
	return v.engine.Stats(v.sys.InfoHash)
}

// where is the console that the guest is shown on, and the keys that leave it.
func (v *visit) where() (console, keys string) {
	if v.guest.Face() == launch.FaceScreen {
		return v.screen(), launch.LeaveScreen
	}
	return v.activeConsole(), launch.LeaveTerminal
}

// attach shows the guest on its console until it ends or a person leaves, which it reports.
func (v *visit) attach(ctx context.Context) (left bool) {
	where, keys := v.where()
	others := ""
	if len(v.Consoles.Names()) > 1 {
		others = "; so does Enter on another console"
	}
	announce := func() { v.Log("%s runs on %s; %s leaves it%s", v.sys.Title, where, keys, others) }
	err := v.Consoles.Lend(ctx, where, announce, func(ctx context.Context, tty *console.TTY) error {
		return v.guest.Attach(ctx, tty)
	})
	v.trouble = nil
	switch {
	case err == nil:
		return false
	case errors.Is(err, launch.ErrLeft), errors.Is(err, console.ErrKey):
		return true
	}
	v.trouble = err
	v.Log("%v", err)
	return true
}

// shown says where the guest is to be seen.
func (v *visit) shown() string {
	where, keys := v.where()
	switch {
	case v.trouble != nil:
		return fmt.Sprintf("It could not be shown: %v", v.trouble)
	case v.guest.Face() == launch.FaceRemote:
		return noted("It is shown on the network.", v.guest.Notes())
	}
	return noted(fmt.Sprintf("It is on %s, where %s leaves it.", where, keys), v.guest.Notes())
}

// noted is a text with notes behind it.
func noted(text string, notes []string) string {
	if len(notes) == 0 {
		return text
	}
	return text + " Note: " + strings.Join(notes, "; ") + "."
}

// ask shows what is given away meanwhile, and asks what to do. It returns 0 when the guest has ended.
func (v *visit) ask(ctx context.Context) decision.Action {
	back := v.guest.Face() != launch.FaceRemote
	m := menu.NewGuest(v.place(), v.sys.Title, v.shown(), back)
	if v.ByHand {
		m = m.ByHand()
	}
	over, screenOver := context.WithCancel(ctx)
	events, told := make(chan tea.Msg, 1), make(chan struct{})
	go func() {
		defer close(told)
		v.tell(over, events)
	}()
	answer, where, err := console.Ask(ctx, v.Consoles, m, events)
	screenOver()
	<-told
	if err != nil {
		if ctx.Err() == nil {
			v.Log("the screen failed: %v", err)
			sleep(ctx, accountTime)
		}
		return decision.Back
	}
	if back {
		v.typedOnScreen(where)
	}
	return answer.Action
}

// typedOnScreen remembers the console that a person asked at, unless the guest has one of its own.
func (v *visit) typedOnScreen(where string) {
	if v.guest.Face() == launch.FaceTerminal {
		v.typedAt(where)
	}
}

// tell sends the numbers to a screen until that is over, and the guest's end.
func (v *visit) tell(ctx context.Context, events chan<- tea.Msg) {
	tick := time.NewTicker(accountTime)
	defer tick.Stop()
	for {
		m := menu.GuestMsg{Running: time.Since(v.began)}
		if s, ok := v.given(); ok {
			m.Up, m.Uploaded, m.Peers = s.Up, s.Uploaded, s.Peers
		}
		select {
		case events <- m:
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-v.guest.Done():
			select {
			case events <- menu.GuestEnded{}:
			case <-ctx.Done():
			}
			return
		case <-tick.C:
		}
	}
}

// afterwards says how the guest ended, and returns what follows: what a person decided, or what the site says.
func (v *visit) afterwards(ctx context.Context, leave decision.Action) (decision.Decision, error) {
	switch leave {
	case decision.Reboot:
		return decision.Decision{Action: decision.Reboot}, nil
	case decision.PowerOff:
		return decision.Decision{Action: decision.PowerOff}, nil
	case decision.SeedOn:
		return decision.Decision{Action: decision.Choose}, v.seedOn(ctx)
	case decision.Quit:
		return decision.Decision{Action: decision.Choose}, nil
	}
	exit := v.guest.Exit()
	how, well := outcome(exit)
	choice, next := v.after()
	v.Log("%s has ended %s; next: %s", v.sys.Title, how, next)
	m := menu.NewEnded(v.place(), v.sys.Title, how, well, exit.Lines, next)
	if v.ByHand {
		m = m.ByHand()
	}
	answer, err := ask(ctx, v.Node, m, nil)
	if err != nil {
		if ctx.Err() == nil {
			v.Log("the screen failed: %v", err)
		}
		return choice, nil
	}
	if answer.Action == decision.Choose {
		choice = decision.Decision{Action: decision.Choose}
	}
	return choice, nil
}

// outcome says how a system ended.
func outcome(e wire.Exit) (how string, well bool) {
	switch {
	case e.Reason != "":
		return fmt.Sprintf("with exit code %d: %s", e.Code, e.Reason), false
	case e.Code != 0:
		return fmt.Sprintf("with exit code %d", e.Code), false
	}
	return "well", true
}

// after is what the site says follows, and how to call it. Who started the system by hand gets back to the shell.
func (v *visit) after() (choice decision.Decision, next string) {
	if v.ByHand {
		return decision.Decision{Action: decision.Choose}, "the shell"
	}
	switch after := v.sys.Launch.After; after {
	case "", catalog.AfterMenu:
		return decision.Decision{Action: decision.Choose}, "the menu"
	case catalog.AfterReboot:
		return decision.Decision{Action: decision.Reboot}, "a restart of this machine"
	case catalog.AfterPowerOff:
		return decision.Decision{Action: decision.PowerOff}, "this machine is switched off"
	default:
		title := after
		if sys, ok := v.catalog.System(after); ok {
			title = sys.Title
		}
		return decision.Decision{Action: decision.Start, System: after}, title
	}
}

// seedOn gives the system to others until somebody presses a key.
func (v *visit) seedOn(ctx context.Context) error {
	err := v.Seed(ctx, v.sys, catalog.Seeding{Until: catalog.UntilTime, Limit: forEver})
	if errors.Is(err, boot.ErrCancelled) {
		return nil
	}
	return err
}

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

// guest is a system that runs beside this program: it is shown on a console until a person leaves it, who is then asked what to do.
type guest struct {
	log      func(format string, args ...any)
	consoles *console.Set
	host     guestHost
	catalog  *catalog.Catalog
	// engine seeds the system; nil: nobody does.
	engine *swarm.Engine
	// byHand says that a person started it in a shell, and gets back there.
	byHand bool

	sys     catalog.System
	running launch.Guest
	began   time.Time
	// trouble is why it could not be shown the last time.
	trouble error
}

// guestHost is what a guest needs of the node that it runs on.
type guestHost interface {
	place() menu.Place
	// screen is the console on the frame buffer, if there is one; activeConsole where a person was last, which typedAt notes.
	screen() string
	activeConsole() string
	typedAt(console string)
	// shell opens a shell on the active console, and returns when it ends.
	shell(ctx context.Context, hint string)
	// guard keeps the shell where the menu is locked.
	guard(ctx context.Context, events chan<- tea.Msg) menu.Lock
	// Seed gives the system to others as long as the rule says; boot.ErrCancelled says that a person ended it.
	Seed(ctx context.Context, sys catalog.System, rule catalog.Seeding) error
}

// newGuest returns the guest that runs a system since now. The node shows it, and seeds it if its engine runs.
func newGuest(n *Node, sys catalog.System, running launch.Guest) *guest {
	return &guest{
		log: n.Log, consoles: n.Consoles, host: n, catalog: n.session.catalog, engine: n.download.engine, byHand: n.ByHand,
		sys: sys, running: running, began: time.Now(),
	}
}

// run shows the guest until it has ended, and returns what a person decided, if one did.
func (g *guest) run(ctx context.Context) decision.Action {
	asking := g.running.Face() == launch.FaceRemote
	for ctx.Err() == nil && !g.over() {
		if !asking {
			asking = g.attach(ctx)
			continue
		}
		switch leave := g.ask(ctx); leave {
		case decision.Back:
			asking = false
		case decision.Shell:
			g.host.shell(ctx, "ls /bbin lists all commands.")
		case decision.Quit, decision.SeedOn, decision.Reboot, decision.PowerOff:
			g.log("%s is ended", g.sys.Title)
			g.running.Stop()
			return leave
		}
	}
	return 0
}

// over reports whether the guest has ended.
func (g *guest) over() bool {
	select {
	case <-g.running.Done():
		return true
	default:
		return false
	}
}

// given is how the seeding of its system stands; false if nothing is seeded.
func (g *guest) given() (swarm.Stats, bool) {
	if g.engine == nil {
		return swarm.Stats{}, false
	}
	return g.engine.Stats(g.sys.InfoHash)
}

// where is the console that the guest is shown on, and the keys that leave it.
func (g *guest) where() (console, keys string) {
	if g.running.Face() == launch.FaceScreen {
		return g.host.screen(), launch.LeaveScreen
	}
	return g.host.activeConsole(), launch.LeaveTerminal
}

// attach shows the guest on its console until it ends or a person leaves, which it reports.
func (g *guest) attach(ctx context.Context) (left bool) {
	where, keys := g.where()
	others := ""
	if len(g.consoles.Names()) > 1 {
		others = "; so does Enter on another console"
	}
	announce := func() { g.log("%s runs on %s; %s leaves it%s", g.sys.Title, where, keys, others) }
	err := g.consoles.Acquire(ctx, where, announce, func(ctx context.Context, tty *console.TTY) error {
		return g.running.Attach(ctx, tty)
	})
	g.trouble = nil
	switch {
	case err == nil:
		return false
	case errors.Is(err, launch.ErrLeft), errors.Is(err, console.ErrKey):
		return true
	}
	g.trouble = err
	g.log("%v", err)
	return true
}

// shown says where the guest is to be seen.
func (g *guest) shown() string {
	where, keys := g.where()
	switch {
	case g.trouble != nil:
		return fmt.Sprintf("It could not be shown: %v", g.trouble)
	case g.running.Face() == launch.FaceRemote:
		return noted("It is shown on the network.", g.running.Notes())
	}
	return noted(fmt.Sprintf("It is on %s, where %s leaves it.", where, keys), g.running.Notes())
}

// noted is a text with notes behind it.
func noted(text string, notes []string) string {
	if len(notes) == 0 {
		return text
	}
	return text + " Note: " + strings.Join(notes, "; ") + "."
}

// ask shows what is given away meanwhile, and asks what to do. It returns 0 when the guest has ended.
func (g *guest) ask(ctx context.Context) decision.Action {
	back := g.running.Face() != launch.FaceRemote
	m := menu.NewGuest(g.host.place(), g.sys.Title, g.shown(), back)
	if g.byHand {
		m = m.ByHand()
	}
	over, screenOver := context.WithCancel(ctx)
	events, told := make(chan tea.Msg, 1), make(chan struct{})
	m = m.Locked(g.host.guard(over, events))
	go func() {
		defer close(told)
		g.tell(over, events)
	}()
	answer, where, err := console.Ask(ctx, g.consoles, m, events)
	screenOver()
	<-told
	if err != nil {
		if ctx.Err() == nil {
			g.log("the screen failed: %v", err)
			sleep(ctx, accountTime)
		}
		return decision.Back
	}
	if back {
		g.typedOnScreen(where)
	}
	return answer.Action
}

// typedOnScreen remembers the console that a person asked at, unless the guest has one of its own.
func (g *guest) typedOnScreen(where string) {
	if g.running.Face() == launch.FaceTerminal {
		g.host.typedAt(where)
	}
}

// tell sends the numbers to a screen until that is over, and the guest's end.
func (g *guest) tell(ctx context.Context, events chan<- tea.Msg) {
	tick := time.NewTicker(accountTime)
	defer tick.Stop()
	for {
		m := menu.GuestMsg{Running: time.Since(g.began)}
		if s, ok := g.given(); ok {
			m.Up, m.Uploaded, m.Peers = s.Up, s.Uploaded, s.Peers
		}
		select {
		case events <- m:
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-g.running.Done():
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
func (g *guest) afterwards(ctx context.Context, leave decision.Action) (decision.Decision, error) {
	switch leave {
	case decision.Reboot:
		return decision.Decision{Action: decision.Reboot}, nil
	case decision.PowerOff:
		return decision.Decision{Action: decision.PowerOff}, nil
	case decision.SeedOn:
		return decision.Decision{Action: decision.Choose}, g.seedOn(ctx)
	case decision.Quit:
		return decision.Decision{Action: decision.Choose}, nil
	}
	exit := g.running.Exit()
	how, well := outcome(exit)
	choice, next := g.after()
	g.log("%s has ended %s; next: %s", g.sys.Title, how, next)
	m := menu.NewEnded(g.host.place(), g.sys.Title, how, well, exit.Lines, next)
	if g.byHand {
		m = m.ByHand()
	}
	answer, where, err := console.Ask(ctx, g.consoles, m, nil)
	if err != nil {
		if ctx.Err() == nil {
			g.log("the screen failed: %v", err)
		}
		return choice, nil
	}
	g.host.typedAt(where)
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
func (g *guest) after() (choice decision.Decision, next string) {
	if g.byHand {
		return decision.Decision{Action: decision.Choose}, "the shell"
	}
	switch after := g.sys.Launch.After; after {
	case "", catalog.AfterMenu:
		return decision.Decision{Action: decision.Choose}, "the menu"
	case catalog.AfterReboot:
		return decision.Decision{Action: decision.Reboot}, "a restart of this machine"
	case catalog.AfterPowerOff:
		return decision.Decision{Action: decision.PowerOff}, "this machine is switched off"
	default:
		title := after
		if sys, ok := g.catalog.System(after); ok {
			title = sys.Title
		}
		return decision.Decision{Action: decision.Start, System: after}, title
	}
}

// seedOn gives the system to others until somebody presses a key.
func (g *guest) seedOn(ctx context.Context) error {
	err := g.host.Seed(ctx, g.sys, catalog.Seeding{Until: catalog.UntilTime, Limit: forEver})
	if errors.Is(err, boot.ErrCancelled) {
		return nil
	}
	return err
}

package console

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/menu"
)

const (
	// lateBytes is how much a console may be behind and still get a new frame.
	lateBytes = 512
	// drawTime is how long a frame stays if only the time changes. Screens show whole seconds.
	drawTime = time.Second - tickTime/2
)

// replica is the copy of a model on one console. It wraps it so that keys take the way through the hub.
type replica struct {
	name   string
	model  tea.Model
	hub    *hub
	keys   *keyReader
	out    *output
	serial bool

	typed bool // a key came from here
	over  bool
	by    string // the console whose key it was
	shown string // the last view drawn
	stale bool   // something has changed since

	now, drawn time.Time // by the last tick, and when it was drawn
}

// Init implements tea.Model. The model's own Init is not called: it could only start a command.
func (r *replica) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (r *replica) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		return r, r.key(msg)
	case tea.WindowSizeMsg:
		if !r.over {
			r.apply(msg)
		}
	case shared:
		if !r.over && r.apply(msg.msg) {
			r.over, r.by = true, msg.from
		}
		if r.over {
			r.keys.stop()
			return r, tea.Quit
		}
		if msg.from == r.name {
			r.keys.done()
		}
	default:
		// Bubble Tea's types for input that is no key it knows; of its own messages only this one gets here.
		if msg != tea.ClearScreen() {
			r.keys.done()
		}
	}
	return r, nil
}

// key passes a key of this console on. Who attaches to a serial line sees only what has changed since, so the first
// key from there, and ctrl+l always, has the screen drawn anew.
func (r *replica) key(msg tea.KeyMsg) tea.Cmd {
	first := !r.typed
	r.typed = true
	if msg.Type == tea.KeyCtrlL {
		r.keys.done()
		return tea.ClearScreen
	}
	r.hub.post(shared{msg: msg, from: r.name})
	if first && r.serial {
		return tea.ClearScreen
	}
	return nil
}

// apply updates the model and says whether it wants to quit. Commands run here, in the order of the messages, and
// nothing but tea.Quit is made of them: copies that wait for their own commands would not stay alike.
func (r *replica) apply(msg tea.Msg) (quit bool) {
	var cmd tea.Cmd
	r.model, cmd = r.model.Update(msg)
	tick, ok := msg.(menu.Tick)
	if ok {
		r.now = tick.Now
	}
	r.stale = r.stale || !ok || r.now.Sub(r.drawn) >= drawTime
	if cmd == nil {
		return false
	}
	_, quit = cmd().(tea.QuitMsg)
	return quit
}

// View implements tea.Model. A console that is behind keeps its last frame, which costs nothing to draw, until the
// next message after it has caught up.
func (r *replica) View() string {
	if r.stale && r.out.queued() <= lateBytes {
		r.shown, r.drawn, r.stale = r.model.View(), r.now, false
	}
	return r.shown
}

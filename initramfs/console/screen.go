package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/menu"
)

const (
	// tickTime is how often the screens are told the time, and the terminals are asked for their size.
	tickTime = 250 * time.Millisecond
	// framesPerSecond is how often a screen is drawn at most; a serial line of 115200 baud carries 11 kB/s.
	framesPerSecond = 10
	// inboxSize is how many keys and log lines may wait to be distributed. It is only exceeded when the machine is
	// stuck; then they are dropped.
	inboxSize = 256
)

// Run shows a screen on all consoles until its model returns tea.Quit or ctx ends. It returns the final model and the
// name of the console whose key ended it, "" if it was an event.
//
// Each console runs its own copy of the model, with its own size and look: m must be a plain value (a struct, not a
// pointer), and keep the rules of package menu. Keys of all consoles, events, log lines (menu.LogLine) and the time
// (menu.Tick, about every 250 ms, the first one at once) are handed to all copies in one and the same order, so they
// stay alike, beginning with the last lines logged before; what differs is menu.Look, sent before anything else, and
// tea.WindowSizeMsg. Of the commands a model returns only tea.Quit is obeyed. The time alone has a screen drawn once a
// second.
//
// Before the screen is shown, what was typed earlier is discarded: nobody chooses what he can't see yet. What is typed
// after the key that ended the screen is left to the next reader. Closing events does not end the screen; once Run has
// returned nobody receives from events.
//
// When ctx ends, the error wraps its cause and the model is as it was then.
func (s *Set) Run(ctx context.Context, m tea.Model, events <-chan tea.Msg) (final tea.Model, console string, err error) {
	if !s.front.TryLock() {
		return m, "", errors.New("show a screen: another screen or a shell is open")
	}
	defer s.front.Unlock()

	h := &hub{inbox: make(chan shared, inboxSize), note: s.Note}
	terminals := s.acquireAll(h)
	defer s.releaseAll(terminals)
	if len(terminals) == 0 {
		return m, "", errors.New("show a screen: no console is left")
	}
	for _, t := range terminals {
		h.add(ctx, t, m)
	}
	h.run(ctx, events)
	return h.result(ctx)
}

// acquireAll prepares all consoles for a screen.
func (s *Set) acquireAll(h *hub) []*terminal {
	s.mu.Lock()
	defer s.mu.Unlock()
	var taken []*terminal
	for _, t := range s.terminals {
		if t.prepare() != nil {
			continue // it is gone; the next screen tries again
		}
		t.taken = true
		taken = append(taken, t)
	}
	h.earlier = slices.Clone(s.last)
	s.listen = func(line string) { h.post(shared{msg: menu.LogLine(line)}) }
	return taken
}

// releaseAll makes the consoles what they were before acquireAll.
func (s *Set) releaseAll(terminals []*terminal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listen = nil
	for _, t := range terminals {
		_ = t.setModes(sane) // fails only when it is gone
		if t.Look.Graphics {
			// Older kernels have no alternate screen to come back from: begin on a clean one.
			_, _ = t.out.Write([]byte("\x1b[m\x1b[H\x1b[J"))
		}
		t.release()
	}
}

// shared is a message for all copies of a model.
type shared struct {
	msg tea.Msg
	// from is the console whose key it is; "" for everything else.
	from string
}

// hub hands messages to all copies of a model in one order.
type hub struct {
	inbox   chan shared
	earlier []string // log lines from before the screen
	note    func() string
	members []*member
	running sync.WaitGroup
}

// member is a console in a screen.
type member struct {
	terminal *terminal
	replica  *replica
	program  *tea.Program
	size     tea.WindowSizeMsg
	err      error // of the program
}

// post puts a message in the inbox; it never blocks.
func (h *hub) post(msg shared) {
	select {
	case h.inbox <- msg:
	default:
	}
}

// add gives a console its copy of the model. The program does not run yet.
func (h *hub) add(ctx context.Context, t *terminal, m tea.Model) {
	r := &replica{name: t.Name, model: m, hub: h, keys: newKeyReader(t.tty), out: t.out, serial: !t.Look.Graphics}
	r.apply(t.Look)
	for _, line := range h.earlier {
		r.apply(menu.LogLine(line))
	}
	// Neither input nor output is a file for Bubble Tea: it would change modes, block on writes and read ahead.
	program := tea.NewProgram(r, tea.WithContext(ctx), tea.WithInput(r.keys), tea.WithOutput(t.out), tea.WithAltScreen(),
		tea.WithoutSignalHandler(), tea.WithoutBracketedPaste(), tea.WithFPS(framesPerSecond))
	h.members = append(h.members, &member{terminal: t, replica: r, program: program})
}

// run runs the programs until all have ended, and lets go of the terminals' input.
func (h *hub) run(ctx context.Context, events <-chan tea.Msg) {
	ended := make(chan struct{})
	for _, m := range h.members {
		h.running.Add(1)
		go func() {
			defer h.running.Done()
			_, m.err = m.program.Run()
			m.replica.keys.finish()
		}()
	}
	go func() {
		h.running.Wait()
		close(ended)
	}()

	ticker := time.NewTicker(tickTime)
	defer ticker.Stop()
	h.tick(time.Now())
	for {
		select {
		case <-ended:
			return
		case msg := <-h.inbox:
			h.broadcast(msg)
		case msg, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			h.broadcast(shared{msg: msg})
		case now := <-ticker.C:
			h.tick(now)
		}
	}
}

// broadcast sends a message to all programs. Their event loops never block for long: drawing goes to a queue.
func (h *hub) broadcast(msg shared) {
	for _, m := range h.members {
		m.program.Send(msg)
	}
}

// tick tells the sizes that have changed, then the time.
func (h *hub) tick(now time.Time) {
	for _, m := range h.members {
		width, height, err := m.terminal.size()
		size := tea.WindowSizeMsg{Width: width, Height: height}
		if err == nil && size != m.size {
			m.size = size
			m.program.Send(size)
		}
	}
	tick := menu.Tick{Now: now}
	if h.note != nil {
		tick.Note = h.note()
	}
	h.broadcast(shared{msg: tick})
}

// result is called after run.
func (h *hub) result(ctx context.Context) (tea.Model, string, error) {
	var errs []error
	for _, m := range h.members {
		if m.replica.over {
			return m.replica.model, m.replica.by, nil
		}
		errs = append(errs, m.err)
	}
	final := h.members[0].replica.model
	if ctx.Err() != nil {
		return final, "", fmt.Errorf("the screen was ended: %w", context.Cause(ctx))
	}
	return final, "", fmt.Errorf("show a screen: %w", errors.Join(errs...))
}

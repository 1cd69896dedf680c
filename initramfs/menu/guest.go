package menu

import (
	"fmt"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
)

// GuestMsg tells a Guest how it and the seeding of its system stand; a later one replaces an earlier one.
type GuestMsg struct {
	// Running is how long the system has been running.
	Running time.Duration
	// Up is payload bytes per second sent to other nodes, Uploaded those sent in all, and Peers the number of connections.
	Up, Uploaded int64
	Peers        int
}

// GuestEnded ends a Guest from outside: the system has ended.
type GuestEnded struct{}

// Guest asks what to do about a system that runs beside this program, and shows what is given away meanwhile.
type Guest struct {
	base
	keys         guestKeys
	title, where string
	state        GuestMsg
}

type guestKeys struct {
	commonKeys
	Back, Quit, SeedOn, Shell, Reboot, PowerOff key.Binding
}

// NewGuest makes the screen for the system of that title. where says in a line where it is to be seen. back says that there is
// something to go back to: a system that is shown on the network has no place here.
func NewGuest(place Place, title, where string, back bool) Guest {
	g := Guest{
		base: newBase(place), title: clean(title), where: clean(where),
		keys: guestKeys{
			commonKeys: newCommonKeys(),
			Back:       bind("enter", "back to it", "enter", "b", "ctrl+j", "esc"),
			Quit:       bind("q", "quit it", "q"),
			SeedOn:     bind("e", "quit, give away", "e"),
			Shell:      bind("s", "shell", "s"),
			Reboot:     bind("r", "reboot", "r"),
			PowerOff:   bind("p", "power off", "p"),
		},
	}
	g.keys.Back.SetEnabled(back)
	return g
}

// ByHand is the screen for somebody who started the system from a shell, to which it will go back: that is where another shell,
// a reboot and so on are to be had.
func (g Guest) ByHand() Guest {
	for _, k := range []*key.Binding{&g.keys.Shell, &g.keys.Reboot, &g.keys.PowerOff} {
		k.SetEnabled(false)
	}
	return g
}

// Locked keeps the shell for those who know a password.
func (g Guest) Locked(l Lock) Guest {
	g.base = g.locked(l)
	return g
}

// Init implements tea.Model.
func (g Guest) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (g Guest) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if g.over() {
		return g, nil
	}
	g.base = g.base.update(msg)
	switch msg := msg.(type) {
	case GuestMsg:
		g.state = msg
	case GuestEnded:
		return g, tea.Quit
	case tea.KeyMsg:
		g = g.press(msg)
	}
	if g.over() {
		return g, tea.Quit
	}
	return g, nil
}

func (g Guest) press(msg tea.KeyMsg) Guest {
	if g.prompt.asking {
		g.base = g.pressPrompt(msg)
		return g
	}
	asked := g.asked
	g.asked = ""
	var used bool
	if g.base, used = g.overlayKey(msg, g.keys.commonKeys); used {
		return g
	}
	switch {
	case key.Matches(msg, g.keys.Back):
		g.base = g.decide(decision.Back)
	case key.Matches(msg, g.keys.Shell):
		g.base = g.guarded(decision.Decision{Action: decision.Shell})
	case key.Matches(msg, g.keys.Quit):
		g.base = g.confirm("q", asked, decision.Quit)
	case key.Matches(msg, g.keys.SeedOn):
		g.base = g.confirm("e", asked, decision.SeedOn)
	case key.Matches(msg, g.keys.Reboot):
		g.base = g.confirm("r", asked, decision.Reboot)
	case key.Matches(msg, g.keys.PowerOff):
		g.base = g.confirm("p", asked, decision.PowerOff)
	}
	return g
}

// View implements tea.Model.
func (g Guest) View() string {
	k := g.keys
	actions := []key.Binding{k.Back, k.Quit, k.SeedOn, k.Shell, k.Reboot, k.PowerOff}
	return g.view(page{body: g.body, status: g.status(), short: append(actions, k.Help),
		full: [][]key.Binding{actions, {k.Machine, k.Log}}})
}

func (g Guest) status() []string {
	text := map[string]string{
		"q": "Press q again to end " + g.title + ".",
		"e": "Press e again to end " + g.title + " and go on giving it to other nodes.",
		"r": "Press r again to reboot.",
		"p": "Press p again to power off.",
	}[g.asked]
	if text == "" {
		return nil
	}
	return []string{g.paint.warn.Render(text)}
}

// body is the title, where it is shown, and the numbers.
func (g Guest) body(width, height int) []string {
	p, s := g.paint, g.state
	lines := []string{p.title.Render(p.fit(g.title+" is running", width))}
	if !g.compact() {
		lines = append(lines, "")
	}
	lines = append(lines, wrap(g.where, width)...)
	if !g.compact() {
		lines = append(lines, "")
	}
	row := func(label, value string) {
		lines = append(lines, p.fit(fmt.Sprintf("%-16s ", label)+p.strong.Render(fmt.Sprintf("%12s", value)), width))
	}
	row("Running for", Clock(s.Running))
	row("Up", Rate(s.Up))
	row("Given away", Size(s.Uploaded))
	row("Peers", fmt.Sprint(s.Peers))
	return lines[:min(len(lines), max(height, 0))]
}

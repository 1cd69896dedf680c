package menu

import (
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
)

// Problem says what failed, why, and what to try, and asks what to do. Left alone it tries again.
type Problem struct {
	base
	keys              problemKeys
	title, cause, try string
	count             countdown
}

type problemKeys struct {
	commonKeys
	Retry, Other, Type, Shell, Reboot, PowerOff key.Binding
}

// NewProblem makes the screen: title is what failed ("No address by DHCP"), cause why, try what the person can do;
// line breaks in cause and try are kept. After retryIn it answers Retry by itself, unless a key was pressed; with a
// retryIn of 0 or less it waits for a person. The actions are those offered; none means all but Choose
// and Type.
func NewProblem(title, cause, try string, retryIn time.Duration, actions ...decision.Action) Problem {
	if len(actions) == 0 {
		actions = []decision.Action{decision.Retry, decision.Shell, decision.Reboot, decision.PowerOff}
	}
	p := Problem{
		base: newBase(Place{}), title: clean(title), cause: cause, try: try,
		keys: problemKeys{
			commonKeys: newCommonKeys(),
			Retry:      bind("enter", "retry", "enter", "t", "ctrl+j"),
			Other:      bind("o", "other system", "o"),
			Type:       bind("a", "type its address", "a"),
			Shell:      bind("s", "shell", "s"),
			Reboot:     bind("r", "reboot", "r"),
			PowerOff:   bind("p", "power off", "p"),
		},
	}
	p.keys.Retry.SetEnabled(slices.Contains(actions, decision.Retry))
	p.keys.Other.SetEnabled(slices.Contains(actions, decision.Choose))
	p.keys.Type.SetEnabled(slices.Contains(actions, decision.Type))
	p.keys.Shell.SetEnabled(slices.Contains(actions, decision.Shell))
	p.keys.Reboot.SetEnabled(slices.Contains(actions, decision.Reboot))
	p.keys.PowerOff.SetEnabled(slices.Contains(actions, decision.PowerOff))
	if retryIn > 0 && p.keys.Retry.Enabled() {
		p.count = newCountdown(retryIn)
	}
	return p
}

// At says where we are, for the head of the screen.
func (p Problem) At(place Place) Problem {
	p.place = place
	return p
}

// Locked keeps the shell for those who know a password.
func (p Problem) Locked(l Lock) Problem {
	p.base = p.locked(l)
	return p
}

// Init implements tea.Model.
func (p Problem) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (p Problem) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if p.over() {
		return p, nil
	}
	p.base = p.base.update(msg)
	switch msg := msg.(type) {
	case Tick:
		var ended bool
		if p.count, ended = p.count.tick(msg.Now); ended {
			p.answer = decision.Decision{Action: decision.Retry}
		}
	case tea.KeyMsg:
		p = p.press(msg)
	}
	if p.over() {
		return p, tea.Quit
	}
	return p, nil
}

func (p Problem) press(msg tea.KeyMsg) Problem {
	p.count.running = false
	if p.prompt.asking {
		p.base = p.pressPrompt(msg)
		return p
	}
	asked := p.asked
	p.asked = ""
	var used bool
	if p.base, used = p.overlayKey(msg, p.keys.commonKeys); used {
		return p
	}
	switch {
	case key.Matches(msg, p.keys.Retry):
		p.base = p.decide(decision.Retry)
	case key.Matches(msg, p.keys.Other):
		p.base = p.decide(decision.Choose)
	case key.Matches(msg, p.keys.Type):
		p.base = p.decide(decision.Type)
	case key.Matches(msg, p.keys.Shell):
		p.base = p.guarded(decision.Decision{Action: decision.Shell})
	case key.Matches(msg, p.keys.Reboot):
		p.base = p.confirm("r", asked, decision.Reboot)
	case key.Matches(msg, p.keys.PowerOff):
		p.base = p.confirm("p", asked, decision.PowerOff)
	}
	return p
}

// View implements tea.Model.
func (p Problem) View() string {
	k := p.keys
	actions := []key.Binding{k.Retry, k.Other, k.Type, k.Shell, k.Reboot, k.PowerOff}
	width, _ := p.columns()
	return p.view(page{body: p.body, status: p.status(width), short: append(actions, k.Help),
		full: [][]key.Binding{actions, {k.Machine, k.Log}}})
}

func (p Problem) status(width int) []string {
	switch {
	case p.asked == "r":
		return []string{p.paint.warn.Render("Press r again to reboot.")}
	case p.asked == "p":
		return []string{p.paint.warn.Render("Press p again to power off.")}
	case p.count.running:
		return []string{p.count.line(p.paint, "Trying again in", width)}
	}
	return nil
}

// body is title, cause and advice. Where they don't fit, the headings go first, then the end of the cause, which keeps
// half of the room, then the end of the advice.
func (p Problem) body(width, height int) []string {
	lines := []string{p.paint.fail.Render(p.paint.fit(p.paint.cross+" "+p.title, width))}
	cause, try := wrap(p.cause, width-2), wrap(p.try, width-2)
	if height >= len(cause)+len(try)+5 {
		lines = append(lines, "")
		lines = append(lines, p.section("What happened", cause)...)
		lines = append(lines, "")
		return append(lines, p.section("What to try", try)...)
	}
	room := max(1, height-len(lines)-len(try), (height-len(lines))/2)
	if len(cause) > room {
		cause = append(cause[:room-1:room-1], p.paint.fit(strings.Join(cause[room-1:], " "), width-2))
	}
	return append(append(lines, cause...), try...)
}

// section is a headed paragraph; none if there is no text.
func (p Problem) section(head string, text []string) []string {
	if len(text) == 1 && text[0] == "" {
		return nil
	}
	lines := []string{p.paint.key.Render(head)}
	for _, line := range text {
		lines = append(lines, "  "+line)
	}
	return lines
}

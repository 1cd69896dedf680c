package menu

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
)

// endedTime is how long the screen waits for a person.
const endedTime = 15 * time.Second

// Ended says how a system that ran beside this program has ended, and what comes next. Left alone it goes on.
type Ended struct {
	base
	keys  endedKeys
	title string
	how   string
	well  bool
	lines []string
	next  string
	count countdown
}

type endedKeys struct {
	commonKeys
	Next, Menu key.Binding
}

// NewEnded makes the screen. how says how it ended ("with exit code 3"), well whether that is what one hopes for; lines are
// the last of its output, and next what follows in a few words ("the menu", "the machine reboots").
func NewEnded(place Place, title, how string, well bool, lines []string, next string) Ended {
	e := Ended{
		base: newBase(place), title: clean(title), how: clean(how), well: well, next: clean(next), count: newCountdown(endedTime),
		keys: endedKeys{
			commonKeys: newCommonKeys(),
			Next:       bind("enter", "go on", "enter", " ", "ctrl+j"),
			Menu:       bind("m", "menu", "m"),
		},
	}
	for _, line := range lines {
		e.lines = append(e.lines, clean(line))
	}
	return e
}

// ByHand is the screen for somebody who started the system from a shell: there is no menu to go to.
func (e Ended) ByHand() Ended {
	e.keys.Menu.SetEnabled(false)
	return e
}

// Init implements tea.Model.
func (e Ended) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (e Ended) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if e.over() {
		return e, nil
	}
	e.base = e.base.update(msg)
	switch msg := msg.(type) {
	case Tick:
		var ended bool
		if e.count, ended = e.count.tick(msg.Now); ended {
			e.answer = decision.Decision{Action: decision.Start}
		}
	case tea.KeyMsg:
		e = e.press(msg)
	}
	if e.over() {
		return e, tea.Quit
	}
	return e, nil
}

func (e Ended) press(msg tea.KeyMsg) Ended {
	e.count.running = false
	var used bool
	if e.base, used = e.overlayKey(msg, e.keys.commonKeys); used {
		return e
	}
	switch {
	case key.Matches(msg, e.keys.Next):
		e.base = e.decide(decision.Start)
	case key.Matches(msg, e.keys.Menu):
		e.base = e.decide(decision.Choose)
	}
	return e
}

// View implements tea.Model.
func (e Ended) View() string {
	k := e.keys
	short := []key.Binding{k.Next, k.Menu, k.Machine, k.Log, k.Help}
	width, _ := e.columns()
	return e.view(page{body: e.body, status: e.status(width), short: short, full: [][]key.Binding{short}})
}

func (e Ended) status(width int) []string {
	if e.count.running {
		return []string{e.count.line(e.paint, "Next: "+e.next+", in", width)}
	}
	return []string{"Next: " + e.next}
}

// body is the title, how it ended, and as many of the last lines as there is room for.
func (e Ended) body(width, height int) []string {
	p := e.paint
	render := p.title.Render
	mark := ""
	if !e.well {
		render, mark = p.fail.Render, p.cross+" "
	}
	lines := []string{render(p.fit(fmt.Sprintf("%s%s has ended %s", mark, e.title, e.how), width))}
	last := slices.DeleteFunc(slices.Clone(e.lines), func(s string) bool { return strings.TrimSpace(s) == "" })
	if len(last) == 0 {
		return append(lines, "", "It printed nothing.")
	}
	if !e.compact() {
		lines = append(lines, "", p.key.Render("The last of what it printed"))
	}
	room := max(0, height-len(lines))
	for _, line := range last[max(0, len(last)-room):] {
		lines = append(lines, p.fit("  "+line, width))
	}
	return lines
}

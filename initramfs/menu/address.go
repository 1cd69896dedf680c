package menu

import (
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"
)

// addressTime is how long the screen waits for the next key: who went away must not keep the node from trying by itself.
const addressTime = 2 * time.Minute

// Address asks a person where the seeder is.
type Address struct {
	base
	keys  addressKeys
	tried string
	check func(string) error
	input textinput.Model
	// message is what is wrong with what was entered; left is when the last key was pressed.
	message string
	left    time.Time
	over    bool
	answer  string
}

type addressKeys struct{ Enter, Back key.Binding }

// NewAddress makes the screen. tried is what was tried already, line breaks are kept; check says what is wrong with an address.
func NewAddress(place Place, tried string, check func(string) error) Address {
	return Address{
		base: newBase(place), tried: tried, check: check, input: newInput(),
		keys: addressKeys{Enter: bind("enter", "use it", "enter", "ctrl+j"), Back: bind("esc", "back", "esc", "ctrl+c")},
	}
}

// Answer is what was typed; empty if the person went back or away.
func (a Address) Answer() string { return a.answer }

// Init implements tea.Model.
func (a Address) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (a Address) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if a.over {
		return a, nil
	}
	a.base = a.base.update(msg)
	switch msg := msg.(type) {
	case Tick:
		if a.left.IsZero() {
			a.left = msg.Now
		}
		a.over = msg.Now.Sub(a.left) >= addressTime
	case tea.KeyMsg:
		a.left = a.now
		a = a.press(msg)
	}
	if a.over {
		return a, tea.Quit
	}
	return a, nil
}

func (a Address) press(msg tea.KeyMsg) Address {
	a.message = ""
	switch {
	case key.Matches(msg, a.keys.Back):
		a.over = true
	case key.Matches(msg, a.keys.Enter):
		text := strings.TrimSpace(a.input.Value())
		if err := a.check(text); err != nil {
			a.message = err.Error()
			return a
		}
		a.answer, a.over = text, true
	default:
		a.input, _ = a.input.Update(msg)
	}
	return a
}

// View implements tea.Model.
func (a Address) View() string {
	short := []key.Binding{a.keys.Enter, a.keys.Back}
	width, _ := a.columns()
	var status []string
	if a.message != "" {
		status = []string{a.paint.fail.Render(a.paint.fit(clean(a.message), width))}
	}
	return a.view(page{body: a.body, status: status, short: short, full: [][]key.Binding{short}})
}

// body is the question and the line to type in, and below it as much of what was tried as there is room for.
func (a Address) body(width, height int) []string {
	p := a.paint
	lines := []string{p.title.Render("Where is the seeder?")}
	if !a.compact() {
		lines = append(lines, "")
	}
	lines = append(lines, p.key.Render("> ")+showInput(a.input, p, width-4), p.dim.Render(p.fit("ADDRESS, ADDRESS:PORT or http://ADDRESS:PORT", width)))
	if !a.compact() {
		lines = append(lines, "")
	}
	return append(lines, wrap(a.tried, width)...)
}

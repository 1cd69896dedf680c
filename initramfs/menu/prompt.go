package menu

import (
	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"
)

// Prompt asks for one line of text, such as the seeder's address.
type Prompt struct {
	base
	title, advice string
	input         textinput.Model
	done, ok      bool
	enter, esc    key.Binding
}

// NewPrompt makes the screen: what is asked for, a line of advice, and the text to start with.
func NewPrompt(place Place, title, advice, text string) Prompt {
	p := Prompt{
		base: newBase(place), title: clean(title), advice: advice, input: newInput(),
		enter: bind("enter", "accepts", "enter", "ctrl+j"), esc: bind("esc", "goes back", "esc"),
	}
	p.input.SetValue(clean(text))
	p.input.CursorEnd()
	return p
}

// Value is the text, and whether a person accepted it.
func (p Prompt) Value() (text string, ok bool) { return p.input.Value(), p.ok }

// Init implements tea.Model.
func (p Prompt) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (p Prompt) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if p.done {
		return p, nil
	}
	p.base = p.base.update(msg)
	switch msg := msg.(type) {
	case Look:
		// Copies of a screen must not edit one array: this is the first message each copy gets.
		at := p.input.Position()
		p.input.SetValue(p.input.Value())
		p.input.SetCursor(at)
	case tea.KeyMsg:
		switch {
		case key.Matches(msg, p.enter):
			p.done, p.ok = true, true
		case key.Matches(msg, p.esc):
			p.done = true
		default:
			p.input, _ = p.input.Update(msg)
		}
	}
	if p.done {
		return p, tea.Quit
	}
	return p, nil
}

// View implements tea.Model.
func (p Prompt) View() string {
	keys := []key.Binding{p.enter, p.esc}
	return p.view(page{body: p.body, short: keys, full: [][]key.Binding{keys}})
}

func (p Prompt) body(width, _ int) []string {
	lines := []string{p.paint.title.Render(p.paint.fit(p.title, width)), ""}
	lines = append(lines, wrap(p.advice, width)...)
	return append(lines, "", p.paint.marker+" "+showInput(p.input, p.paint, width-2))
}

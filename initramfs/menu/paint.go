package menu

import (
	"io"
	"strings"
	"unicode"

	"github.com/charmbracelet/bubbles/help"
	"github.com/charmbracelet/bubbles/progress"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// paint is how one Look draws: styles and characters. It is never changed after newPaint, so copies of a screen may
// share it.
type paint struct {
	profile  termenv.Profile
	graphics bool

	bar, barDim                                lipgloss.Style // the head's line
	title, strong, dim, key, warn, fail, ready lipgloss.Style
	selected                                   lipgloss.Style // the chosen row of a list
	cursor                                     lipgloss.Style

	rule, marker, ellipsis, dot string
	cross, arrow                string
	full, empty                 rune // of a progress bar
}

func newPaint(look Look) *paint {
	p := &paint{
		profile: termenv.Ascii,
		rule:    "-", marker: ">", ellipsis: "...", dot: "  ",
		cross: "!", arrow: ">", full: '#', empty: '.',
	}
	if look.Color {
		p.profile = termenv.ANSI
	}
	if p.graphics = look.Graphics; p.graphics {
		// Only characters of code page 437; the ellipsis U+2026 is not one of them.
		p.rule, p.marker, p.dot = "─", "►", " · "
		p.cross, p.arrow, p.full, p.empty = "■", "→", '█', '░'
	}
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(p.profile)
	r.SetHasDarkBackground(true)
	color := func(fg string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(fg)) }
	p.bar = color("15").Background(lipgloss.Color("4")).Bold(true)
	p.barDim = color("7").Background(lipgloss.Color("4"))
	p.title, p.strong, p.dim = color("14").Bold(true), color("15").Bold(true), color("8")
	p.key, p.warn, p.fail, p.ready = color("14"), color("11"), color("9").Bold(true), color("10")
	p.selected = color("0").Background(lipgloss.Color("6"))
	p.cursor = color("0").Background(lipgloss.Color("7"))
	return p
}

// progress draws a bar of the given width for a fraction between 0 and 1.
func (p *paint) progress(width int, fraction float64) string {
	bar := progress.New(
		progress.WithoutPercentage(),
		progress.WithWidth(max(0, width)),
		progress.WithFillCharacters(p.full, p.empty),
		progress.WithSolidFill("6"),
		progress.WithColorProfile(p.profile),
	)
	bar.EmptyColor = "8"
	return bar.ViewAs(max(0, min(1, fraction)))
}

// helper is the line of keys at the bottom.
func (p *paint) helper(width int) help.Model {
	h := help.New()
	h.Width, h.ShortSeparator, h.FullSeparator, h.Ellipsis = width, p.dot, "   ", p.ellipsis
	plain := p.dim.UnsetForeground()
	h.Styles = help.Styles{
		Ellipsis: p.dim, ShortKey: p.key, ShortDesc: plain, ShortSeparator: p.dim,
		FullKey: p.key, FullDesc: plain, FullSeparator: p.dim,
	}
	return h
}

// fit cuts a text to width cells, marking the cut with an ellipsis.
func (p *paint) fit(text string, width int) string {
	if width <= 0 {
		return ""
	}
	if ansi.StringWidth(text) <= width {
		return text
	}
	if width <= len(p.ellipsis) {
		return ansi.Truncate(text, width, "")
	}
	return ansi.Truncate(text, width, p.ellipsis)
}

// spread puts one text at the left and one at the right of a line of exactly width cells. Of what is too long the left
// is cut.
func (p *paint) spread(left, right string, width int) string {
	room := width - ansi.StringWidth(right)
	if right != "" {
		room -= 2
	}
	if room < 8 { // the right one would leave nothing to read at the left
		right, room = "", width
	}
	left = p.fit(left, room)
	gap := width - ansi.StringWidth(left) - ansi.StringWidth(right)
	return left + strings.Repeat(" ", max(0, gap)) + right
}

// clean makes a text from outside fit for one line of a terminal: no control characters, no line breaks.
func clean(text string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text), " ")
}

// wrap breaks a text into lines of at most width cells; line breaks in it are kept.
func wrap(text string, width int) []string {
	var lines []string
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n") {
		lines = append(lines, strings.Split(ansi.Wrap(clean(paragraph), max(1, width), ""), "\n")...)
	}
	return lines
}

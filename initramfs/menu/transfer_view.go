package menu

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/x/ansi"
)

// View implements tea.Model.
func (t Transfer) View() string {
	k := t.keys
	short := []key.Binding{k.Machine, k.Log, k.Help}
	switch t.state.Phase {
	case Fetch:
		short = append([]key.Binding{k.Cancel}, short...)
	case Seed:
		short = append([]key.Binding{k.Skip}, short...)
	}
	width, _ := t.columns()
	return t.view(page{body: t.body, status: t.status(width), short: short, full: [][]key.Binding{short}})
}

func (t Transfer) status(width int) []string {
	p := t.paint
	var lines []string
	if t.state.Fallback {
		text := "Fell back to HTTP from the seeder: BitTorrent stands still; still giving away."
		lines = append(lines, p.warn.Render(p.fit(text, width)))
	}
	if note := clean(t.state.Note); note != "" {
		lines = append(lines, p.warn.Render(p.fit(note, width)))
	}
	if t.asked != "" {
		lines = append(lines, p.warn.Render("Press c again to give up and choose another system."))
	}
	return lines
}

// body is the title, the bar and the numbers.
func (t Transfer) body(width, height int) []string {
	p, s := t.paint, t.state
	title := map[Phase]string{
		Fetch: "Fetching", Verify: "Checking", Seed: "Giving away", Launch: "Starting",
	}[s.Phase] + " " + clean(s.System)
	lines := []string{p.spread(p.title.Render(p.fit(title, width-6)), "", width), ""}
	if width >= 60 {
		lines[0] = p.spread(p.title.Render(p.fit(title, width-34)), t.steps(), width)
	}

	fraction := t.fraction()
	percent := fmt.Sprintf("%4d %%", int(fraction*100))
	lines = append(lines, p.progress(width-len(percent), fraction)+p.strong.Render(percent), p.spread(t.amount(), t.timeLeft(), width))
	if height >= 12 {
		lines = append(lines, "")
	} else {
		lines = append(lines[:1], lines[2:]...)
	}
	return append(lines, t.numbers(width, height-len(lines))...)
}

// steps names the phases, the present one emphasised.
func (t Transfer) steps() string {
	p := t.paint
	var names []string
	for i, name := range []string{"fetch", "check", "give away", "start"} {
		switch {
		case Phase(i) == t.state.Phase && p.strong.Render("x") == "x":
			name = "[" + name + "]"
		case Phase(i) == t.state.Phase:
			name = p.strong.Render(name)
		case Phase(i) < t.state.Phase:
			name = p.ready.Render(name)
		default:
			name = p.dim.Render(name)
		}
		names = append(names, name)
	}
	return strings.Join(names, p.dim.Render(" "+p.arrow+" "))
}

// fraction is how much of the present phase is done, 0 to 1.
func (t Transfer) fraction() float64 {
	s := t.state
	switch {
	case s.Phase == Launch:
		return 1
	case s.Phase == Seed && t.seedTotal > 0:
		return 1 - float64(s.SeedLeft)/float64(t.seedTotal)
	case s.Phase == Seed:
		return 1
	}
	return s.Percent() / 100
}

// amount says how much of what is done.
func (t Transfer) amount() string {
	s := t.state
	switch s.Phase {
	case Seed:
		if until := clean(s.SeedUntil); until != "" {
			return "All " + Size(s.Size) + " are here; " + until + "."
		}
		return "All " + Size(s.Size) + " are here and right; other nodes fetch from this one."
	case Launch:
		return "Handing over to the new system ..."
	}
	done := Size(s.Done) + " of " + Size(s.Size)
	if s.Phase == Verify {
		return done + " checked"
	}
	return done
}

// timeLeft is empty when it can't be known.
func (t Transfer) timeLeft() string {
	s := t.state
	switch {
	case s.Phase == Seed && s.SeedUntil != "":
		return "at most " + Clock(s.SeedLeft)
	case s.Phase == Seed:
		return Clock(s.SeedLeft) + " left"
	case s.Phase == Fetch && s.Down > 0 && s.Size > s.Done:
		// In floating point: bytes times nanoseconds would overflow.
		left := float64(s.Size-s.Done) / float64(s.Down)
		if left < (100 * time.Hour).Seconds() {
			return Clock(time.Duration(left*float64(time.Second))) + " left"
		}
	}
	return ""
}

// numbers are speeds at the left and origins at the right, or one below the other on a narrow terminal.
func (t Transfer) numbers(width, height int) []string {
	s := t.state
	speeds := []string{
		t.number("Down", Rate(s.Down)),
		t.number("Up", Rate(s.Up)),
		t.number("Peers", fmt.Sprint(s.Peers)),
	}
	total := s.Received()
	origins := []string{
		t.number("From the seeder", Size(s.FromSeeder)) + t.share(s.FromSeeder, total),
		t.number("From other nodes", Size(s.FromNodes)) + t.share(s.FromNodes, total),
	}
	if s.FromHTTP > 0 || s.Fallback {
		origins = append(origins, t.number("By HTTP", Size(s.FromHTTP))+t.share(s.FromHTTP, total))
	}
	origins = append(origins, t.number("Given away", Size(s.Uploaded)))
	if width < 70 {
		all := append(origins, speeds...)
		if len(all) > height { // speeds on one line
			rates := "Down " + Rate(s.Down) + "  Up " + Rate(s.Up) + fmt.Sprintf("  Peers %d", s.Peers)
			all = append([]string{rates}, origins...)
		}
		return all
	}
	return sideBySide(speeds, origins, width/2-4)
}

// number is a labelled number, right-aligned.
func (t Transfer) number(label, value string) string {
	return fmt.Sprintf("%-16s ", label) + t.paint.strong.Render(fmt.Sprintf("%12s", value))
}

func (t Transfer) share(part, total int64) string {
	if total <= 0 {
		return ""
	}
	return fmt.Sprintf("  %3d %%", int(float64(part)/float64(total)*100+0.5))
}

// sideBySide joins two columns; the second one starts at cell at.
func sideBySide(left, right []string, at int) []string {
	var lines []string
	for i := range max(len(left), len(right)) {
		var l, r string
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		lines = append(lines, l+strings.Repeat(" ", max(1, at-ansi.StringWidth(l)))+r)
	}
	return lines
}

package menu

import (
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// countdown counts a time down by Ticks. The zero countdown is stopped.
type countdown struct {
	total   time.Duration
	running bool
	end     time.Time // set by the first tick
	left    time.Duration
}

func newCountdown(total time.Duration) countdown {
	return countdown{total: total, left: total, running: true}
}

// tick advances the countdown and says whether this tick ended it.
func (c countdown) tick(now time.Time) (countdown, bool) {
	if !c.running {
		return c, false
	}
	if c.end.IsZero() {
		c.end = now.Add(c.total)
	}
	c.left = max(0, c.end.Sub(now))
	c.running = c.left > 0
	return c, !c.running
}

// line shows the countdown: text, time left, a bar that fills, and how to stop it.
func (c countdown) line(p *paint, text string, width int) string {
	fraction := 1.0
	if c.total > 0 {
		fraction = 1 - float64(c.left)/float64(c.total)
	}
	// The time keeps its width so that the bar beside it stands still.
	clock := Clock(c.left)
	clock = strings.Repeat(" ", max(0, len(Clock(c.total))-len(clock))) + clock
	const hint = "any key stops"
	room := width - ansi.StringWidth(text) - len(clock) - len(hint) - 6
	if room < 8 { // no room for a bar, nor perhaps for the hint
		line := p.fit(text, width-len(clock)-1) + " " + p.strong.Render(clock)
		if ansi.StringWidth(line)+len(hint)+2 > width {
			return line
		}
		return p.spread(line, hint, width)
	}
	bar := p.progress(min(room, 40), fraction)
	return text + " " + p.strong.Render(clock) + "  " + bar + "  " + hint
}

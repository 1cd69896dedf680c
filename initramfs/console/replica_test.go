package console

import (
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/menu"
)

// drawing counts how often it is drawn.
type drawing struct{ views *int }

func (drawing) Init() tea.Cmd                         { return nil }
func (d drawing) Update(tea.Msg) (tea.Model, tea.Cmd) { return d, nil }
func (d drawing) View() string                        { *d.views++; return "" }

// The time alone has a screen drawn once a second, what happens at once.
func TestDrawnOnceASecond(t *testing.T) {
	views, now := 0, time.Now()
	r := &replica{name: "ttyS0", model: drawing{&views}, out: &output{}}
	update := func(msg tea.Msg) int {
		before := views
		r.Update(shared{msg: msg})
		r.View()
		return views - before
	}
	drawn := 0
	for range int(3 * time.Second / tickTime) {
		now = now.Add(tickTime)
		drawn += update(menu.Tick{Now: now})
	}
	if drawn != 3 {
		t.Errorf("in three seconds it was drawn %d times", drawn)
	}
	for range 2 {
		if update(menu.LogLine("news")) != 1 {
			t.Error("news were not drawn")
		}
	}
}

package menu

import (
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

// Every screen shows what the node does besides, as long as it does.
func TestNote(t *testing.T) {
	const note = "Another machine is loading phase 1 from this one."
	for _, screen := range []tea.Model{NewChooser(ChooserConfig{}), NewTransfer(Place{}, "Debian"), NewGuest(Place{}, "Debian", "", true)} {
		for _, height := range []int{10, 24} {
			m, _ := play(screen, tea.WindowSizeMsg{Width: 80, Height: height}, Tick{Now: start, Note: note})
			if view := m.View(); !strings.Contains(view, note) || strings.Count(view, "\n") != height-1 {
				t.Errorf("%T of %d lines:\n%s", screen, height, view)
			}
			if m, _ = play(m, Tick{Now: start}); strings.Contains(m.View(), note) {
				t.Errorf("%T: it stays:\n%s", screen, m.View())
			}
		}
	}
}

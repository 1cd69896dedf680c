package menu

import (
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/internal/report"
)

// Phase is where a transfer stands.
type Phase int

// The phases, in their order.
const (
	Fetch Phase = iota
	Verify
	Seed
	Launch
)

// TransferMsg tells a Transfer the whole state of the transfer; a later one replaces an earlier one.
type TransferMsg struct {
	Phase Phase
	// System is the system's title.
	System string
	// Transfer has the numbers. In the phase Verify its Size and Done count what is checked.
	report.Transfer
	// SeedLeft is how long the node will go on seeding, in the phase Seed.
	SeedLeft time.Duration
	// SeedUntil says what the node waits for in the phase Seed, if it isn't the time alone; SeedLeft is then the most it will
	// wait.
	SeedUntil string
	// Note is a line to show, such as what is waited for.
	Note string
}

// TransferDone ends a Transfer from outside: the transfer is complete, or failed and something else shows why.
type TransferDone struct{}

// Transfer shows how a system is fetched, checked, seeded and about to be launched.
type Transfer struct {
	base
	keys  transferKeys
	state TransferMsg
	// seedTotal is the longest SeedLeft seen: the whole of the bar.
	seedTotal time.Duration
}

type transferKeys struct {
	commonKeys
	Cancel, Skip key.Binding
}

// NewTransfer makes the screen for the system of that title.
func NewTransfer(place Place, system string) Transfer {
	return Transfer{
		base: newBase(place),
		keys: transferKeys{
			commonKeys: newCommonKeys(),
			Cancel:     bind("c", "cancel", "c", "esc"),
			Skip:       bind("any key", "goes on at once", "enter", " ", "ctrl+j"),
		},
		state: TransferMsg{System: system},
	}
}

// Init implements tea.Model.
func (t Transfer) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (t Transfer) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if t.over() {
		return t, nil
	}
	t.base = t.base.update(msg)
	switch msg := msg.(type) {
	case TransferMsg:
		t = t.take(msg)
	case TransferDone:
		t.answer = decision.Decision{Action: decision.Done}
	case tea.KeyMsg:
		t = t.press(msg)
	}
	if t.over() {
		return t, tea.Quit
	}
	return t, nil
}

func (t Transfer) take(msg TransferMsg) Transfer {
	if msg.System == "" {
		msg.System = t.state.System
	}
	t.state = msg
	if msg.Phase == Seed {
		t.seedTotal = max(t.seedTotal, msg.SeedLeft)
	}
	if msg.Phase != Fetch {
		t.asked = "" // too late to cancel
	}
	return t
}

func (t Transfer) press(msg tea.KeyMsg) Transfer {
	asked := t.asked
	t.asked = ""
	var used bool
	if t.base, used = t.overlayKey(msg, t.keys.commonKeys); used {
		return t
	}
	switch {
	case t.state.Phase == Seed:
		t.base = t.decide(decision.Skip)
	case t.state.Phase == Fetch && key.Matches(msg, t.keys.Cancel):
		t.base = t.confirm("c", asked, decision.Choose)
	}
	return t
}

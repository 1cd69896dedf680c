package console

import (
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/report"
)

func TestRunShowsTheSameEverywhere(t *testing.T) {
	set, vga, serial := room(t)
	ended := run(t.Context(), set, chooser(), nil)
	vga.see("► First system")
	serial.see("> First system")
	vga.send("\x1b[B") // down
	serial.see("> Second system")
	vga.see("► Second system")
	serial.send("j")
	vga.see("► Third system")
	serial.see("> Third system")
	serial.send("\r")
	o := wait(t, ended)
	if o.err != nil || o.console != "ttyS0" {
		t.Errorf("ended by %q, %v; want ttyS0", o.console, o.err)
	}
	want := decision.Decision{Action: decision.Start, System: "three", ByPerson: true}
	if got := o.model.(menu.Chooser).Answer(); got != want {
		t.Errorf("choice %+v, want %+v", got, want)
	}
	if strings.Contains(serial.all(), "\x1b[1;") || strings.Contains(serial.all(), "►") {
		t.Error("colours or graphics on the serial line")
	}
}

// An arrow key whose bytes come one by one, as on a slow line, is an arrow key all the same.
func TestRunSplitSequence(t *testing.T) {
	set, _, serial := room(t)
	ended := run(t.Context(), set, chooser(), nil)
	serial.see("> First system")
	for _, b := range "\x1b[B" {
		serial.send(string(b)) // the reader takes one at a time, and waits for the next
	}
	serial.see("> Second system")
	serial.send("\r")
	wait(t, ended)
}

func TestRunEvents(t *testing.T) {
	set, vga, serial := room(t)
	events := make(chan tea.Msg)
	ended := run(t.Context(), set, menu.NewTransfer(menu.Place{}, "Debian"), events)
	events <- menu.TransferMsg{Transfer: report.Transfer{Size: 100 << 20, Done: 25 << 20}}
	vga.see("25 %")
	serial.see("25 %")
	events <- menu.TransferDone{}
	o := wait(t, ended)
	if o.err != nil || o.console != "" || o.model.(menu.Transfer).Answer().Action != decision.Done {
		t.Errorf("%+v", o)
	}
}

func TestRunCountdown(t *testing.T) {
	set, _, _ := room(t)
	m := menu.NewChooser(menu.ChooserConfig{Items: []menu.Item{{Name: "a"}}, Default: "a", Timeout: 1})
	o := wait(t, run(t.Context(), set, m, nil))
	if got := o.model.(menu.Chooser).Answer(); got != (decision.Decision{Action: decision.Start, System: "a"}) || o.console != "" {
		t.Errorf("%+v by %q, %v", got, o.console, o.err)
	}
}

func TestRunResize(t *testing.T) {
	set, vga, serial := room(t)
	ended := run(t.Context(), set, chooser(), nil)
	bottom := func(rows int) func(string) bool {
		return func(screen string) bool {
			lines := strings.Split(screen, "\n")
			return len(lines) >= rows && strings.HasPrefix(lines[rows-1], " enter start") && strings.Count(screen, "First system") == 1
		}
	}
	serial.await("the keys in line 24", bottom(24))
	serial.resize(60, 15)
	serial.await("the keys in line 15", bottom(15))
	serial.resize(120, 40)
	serial.await("the keys in line 40", func(screen string) bool {
		lines := strings.Split(screen, "\n")
		return len(lines) >= 40 && strings.Contains(lines[39], "enter start")
	})
	vga.await("the keys in line 30 still", bottom(30))
	serial.send("\r")
	wait(t, ended)
}

// Who attaches to a serial line late sees only changes; the first key from there draws everything.
func TestRunFirstKeyRedraws(t *testing.T) {
	set, vga, serial := room(t)
	ended := run(t.Context(), set, chooser(), nil)
	vga.see("First system")
	serial.see("First system")
	serial.vt.Write([]byte("\x1b[2J")) // a terminal that knows nothing of what was sent
	serial.send("z")
	serial.see("First system")
	serial.vt.Write([]byte("\x1b[2J"))
	serial.send("\f") // ctrl+l
	serial.see("First system")
	serial.send("\r")
	wait(t, ended)
}

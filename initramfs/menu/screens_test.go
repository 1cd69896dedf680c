package menu

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/internal/report"
)

func TestTransfer(t *testing.T) {
	in := func(phase Phase) TransferMsg {
		m := fetching()
		m.Phase, m.SeedLeft = phase, 10*time.Second
		return m
	}
	for name, tt := range map[string]struct {
		play []any
		want decision.Action
	}{
		"done":                    {[]any{in(Fetch), TransferDone{}}, decision.Done},
		"cancel once":             {[]any{in(Fetch), "c"}, 0},
		"cancel twice":            {[]any{in(Fetch), "cc"}, decision.Choose},
		"esc twice":               {[]any{in(Fetch), "<esc><esc>"}, decision.Choose},
		"esc, then c":             {[]any{in(Fetch), "<esc>c"}, decision.Choose},
		"cancel, other key":       {[]any{in(Fetch), "cxc"}, 0},
		"cancel survives state":   {[]any{in(Fetch), "c", in(Fetch), "c"}, decision.Choose},
		"too late to cancel":      {[]any{in(Fetch), "c", in(Verify), "cc"}, 0},
		"enter does not skip":     {[]any{in(Fetch), "<enter>"}, 0},
		"skip seeding":            {[]any{in(Seed), "<enter>"}, decision.Skip},
		"skip with any key":       {[]any{in(Seed), "x"}, decision.Skip},
		"machine while seeding":   {[]any{in(Seed), "i<enter>"}, 0},
		"nothing stops a launch":  {[]any{in(Launch), "c<enter>c"}, 0},
		"deaf after the answer":   {[]any{in(Seed), "<enter>", TransferDone{}}, decision.Skip},
		"a key before any states": {[]any{"<enter>j"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m, quit := play(NewTransfer(place, "Debian"), append([]any{0 * time.Second}, tt.play...)...)
			if got := m.(Transfer).Answer().Action; got != tt.want {
				t.Errorf("outcome %v, want %v", got, tt.want)
			}
			if quit != (tt.want != 0) {
				t.Errorf("quit %v", quit)
			}
		})
	}
}

func TestTransferOddNumbers(t *testing.T) {
	for _, state := range []TransferMsg{
		{}, {Transfer: report.Transfer{Size: -1, Done: -5}}, {Transfer: report.Transfer{Size: 10, Done: 20}},
		{Transfer: report.Transfer{Size: 1 << 62, Down: 1}}, {Phase: Seed, SeedLeft: -time.Hour}, {Phase: 17},
		{Transfer: report.Transfer{Size: 1 << 50, Done: 1, Down: 1 << 60, FromSeeder: -1, FromNodes: 1}},
	} {
		size := tea.WindowSizeMsg{Width: 80, Height: 24}
		m, _ := play(NewTransfer(place, "Debian"), size, state)
		checkView(t, m.View(), serial, size)
	}
}

func TestProblem(t *testing.T) {
	all := []decision.Action{decision.Retry, decision.Choose, decision.Shell, decision.Reboot, decision.PowerOff}
	for name, tt := range map[string]struct {
		actions  []decision.Action
		play     []any
		want     decision.Action
		byPerson bool
	}{
		"enter":             {all, []any{"<enter>"}, decision.Retry, true},
		"t":                 {all, []any{"t"}, decision.Retry, true},
		"other":             {all, []any{"o"}, decision.Choose, true},
		"no other":          {nil, []any{"o"}, decision.None, false},
		"an address":        {[]decision.Action{decision.Retry, decision.Type}, []any{"a"}, decision.Type, true},
		"no address":        {all, []any{"a"}, decision.None, false},
		"shell":             {all, []any{"s"}, decision.Shell, true},
		"reboot":            {all, []any{"rr"}, decision.Reboot, true},
		"reboot once":       {all, []any{"r"}, decision.None, false},
		"power off":         {all, []any{"pp"}, decision.PowerOff, true},
		"retries by itself": {all, []any{0 * time.Second, 30 * time.Second}, decision.Retry, false},
		"not too early":     {all, []any{0 * time.Second, 29 * time.Second}, decision.None, false},
		"a key stops it":    {all, []any{0 * time.Second, "x", time.Hour}, decision.None, false},
		"no retry offered":  {[]decision.Action{decision.Reboot}, []any{0 * time.Second, time.Hour, "<enter>"}, decision.None, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, quit := play(NewProblem("It failed", "cause", "try", 30*time.Second, tt.actions...), tt.play...)
			p := m.(Problem)
			if p.Answer().Action != tt.want || p.Answer().ByPerson != tt.byPerson || quit != (tt.want != decision.None) {
				t.Errorf("%v by person %v, quit %v; want %v, %v", p.Answer().Action, p.Answer().ByPerson, quit, tt.want, tt.byPerson)
			}
		})
	}
}

// However long cause and advice are, something of both is shown.
func TestProblemLongTexts(t *testing.T) {
	long := func(word string) string { return strings.Repeat(word+" ", 400) }
	for _, size := range []tea.WindowSizeMsg{{Width: 80, Height: 24}, {Width: 40, Height: 10}} {
		m, _ := play(NewProblem("It failed", long("cause"), long("advice"), 0), size)
		view := m.View()
		for _, want := range []string{"It failed", "cause cause", "advice advice", "retry"} {
			if !strings.Contains(view, want) {
				t.Errorf("%+v: no %q in\n%s", size, want, view)
			}
		}
	}
}

// Copies of one screen don't write to each other's memory.
func TestCopiesAreApart(t *testing.T) {
	whole := NewChooser(ChooserConfig{Place: place, Items: items(), Timeout: -1})
	a, _ := play(whole, vga)
	b, _ := play(whole, serial)
	a, _ = play(a, "/ab", LogLine("a"))
	b, _ = play(b, "/cd", LogLine("b"))
	for text, m := range map[string]tea.Model{"ab": a, "cd": b, "": whole} {
		if got := m.(Chooser).filter.Value(); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
	if got := b.(Chooser).log; len(got) != 1 || got[0] != "b" {
		t.Errorf("log %q", got)
	}
}

func TestLogIsBounded(t *testing.T) {
	var m tea.Model = NewTransfer(place, "x")
	for i := range 3 * keptLines {
		m, _ = play(m, LogLine(fmt.Sprintf("line %d", i)))
	}
	if got := len(m.(Transfer).log); got != keptLines {
		t.Errorf("%d lines kept", got)
	}
	m, _ = play(m, "l")
	if !strings.Contains(m.View(), fmt.Sprintf("line %d", 3*keptLines-1)) {
		t.Error("the last line is not shown")
	}
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		Size(0): "0.0 MiB", Size(65 << 20): "65.0 MiB", Size(1023 << 20): "1023.0 MiB", Size(3 << 29): "1.5 GiB",
		Rate(11_200_000): "11.2 MB/s", Clock(0): "0:00", Clock(-time.Second): "0:00", Clock(100 * time.Millisecond): "0:01",
		Clock(61 * time.Second): "1:01", Clock(3661 * time.Second): "1:01:01",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSeeders(t *testing.T) {
	for name, tt := range map[string]struct {
		play []any
		want decision.Decision
	}{
		"left alone":           {[]any{0 * time.Second, 10 * time.Second}, decision.Decision{Action: decision.Start, System: "http://10.0.0.1:8080"}},
		"not yet":              {[]any{0 * time.Second, 9 * time.Second}, decision.Decision{}},
		"the second":           {[]any{0 * time.Second, "<down><enter>"}, decision.Decision{Action: decision.Start, System: "http://10.0.0.2:8080", ByPerson: true}},
		"nothing but a seeder": {[]any{0 * time.Second, "srrpp", time.Hour}, decision.Decision{}},
	} {
		m, quit := play(NewSeeders(place, seeders(), 10), tt.play...)
		if got := m.(Chooser).Answer(); got != tt.want || quit != (tt.want.Action != decision.None) {
			t.Errorf("%s: %+v, quit %v, want %+v", name, got, quit, tt.want)
		}
	}
}

func TestAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		play []any
		want string
		quit bool
	}{
		"typed":                {[]any{0 * time.Second, "10.0.0.1:8080<enter>"}, "10.0.0.1:8080", true},
		"mistyped":             {[]any{0 * time.Second, "10:<bs>.1:9<enter>"}, "10.1:9", true},
		"wrong":                {[]any{0 * time.Second, "10.0.0.1<enter>"}, "", false},
		"wrong, then right":    {[]any{0 * time.Second, "10.0.0.1<enter>:80<enter>"}, "10.0.0.1:80", true},
		"back":                 {[]any{0 * time.Second, "10.0.0.1:80<esc>"}, "", true},
		"nobody is there":      {[]any{0 * time.Second, 2 * time.Minute}, "", true},
		"somebody still types": {[]any{0 * time.Second, 110 * time.Second, "1", 130 * time.Second}, "", false},
		"and then goes":        {[]any{0 * time.Second, 110 * time.Second, "1", 230 * time.Second}, "", true},
		"letters are no keys":  {[]any{0 * time.Second, "srpil?:<enter>"}, "srpil?:", true},
	} {
		m, quit := play(NewAddress(place, tried, noAddress), tt.play...)
		if got := m.(Address).Answer(); got != tt.want || quit != tt.quit {
			t.Errorf("%s: %q, quit %v, want %q, %v", name, got, quit, tt.want, tt.quit)
		}
	}
}

func TestGuest(t *testing.T) {
	guest := NewGuest(place, "Disc", "here", true)
	for typed, want := range map[string]decision.Action{
		"<enter>": decision.Back, "b": decision.Back, "s": decision.Shell, "q": 0, "qq": decision.Quit, "ee": decision.SeedOn, "rr": decision.Reboot, "pp": decision.PowerOff,
		"qe": 0, "i": 0, "iq": 0, "x": 0,
	} {
		m, quit := play(guest, 0*time.Second, typed)
		if got := m.(Guest).Answer().Action; got != want || quit != (want != 0) {
			t.Errorf("%q: %v, quit %v, want %v", typed, got, quit, want)
		}
	}
	if m, quit := play(guest, "q", 6*time.Second, "q"); quit {
		t.Errorf("a second press long after the first: %v", m.(Guest).Answer().Action)
	}
	if m, quit := play(NewGuest(place, "Disc", "there", false), "<enter>"); quit {
		t.Errorf("back to what isn't here: %v", m.(Guest).Answer().Action)
	}
	if m, quit := play(guest, GuestEnded{}, "q"); !quit || m.(Guest).Answer().Action != 0 {
		t.Errorf("after its end: %v, quit %v", m.(Guest).Answer().Action, quit)
	}
}

func TestEnded(t *testing.T) {
	ended := NewEnded(place, "Check", "well", true, nil, "the menu")
	for name, tt := range map[string]struct {
		play []any
		want decision.Action
	}{
		"left alone":            {[]any{0 * time.Second, 15 * time.Second}, decision.Start},
		"not yet":               {[]any{0 * time.Second, 14 * time.Second}, decision.None},
		"enter":                 {[]any{0 * time.Second, "<enter>"}, decision.Start},
		"menu":                  {[]any{0 * time.Second, "m"}, decision.Choose},
		"any key stops":         {[]any{0 * time.Second, "x", 60 * time.Second}, decision.None},
		"the log, then go on":   {[]any{0 * time.Second, "l", "x", "<enter>"}, decision.Start},
		"a key for the overlay": {[]any{0 * time.Second, "?", "m"}, decision.None},
	} {
		m, quit := play(ended, tt.play...)
		if got := m.(Ended).Answer().Action; got != tt.want || quit != (tt.want != decision.None) {
			t.Errorf("%s: %v, quit %v, want %v", name, got, quit, tt.want)
		}
	}
}

// From a shell, what only a boot can do is not offered.
func TestByHand(t *testing.T) {
	for _, typed := range []string{"s", "rr", "pp"} {
		if m, quit := play(NewGuest(place, "Disc", "here", true).ByHand(), 0*time.Second, typed); quit {
			t.Errorf("%q: %v", typed, m.(Guest).Answer().Action)
		}
	}
	guest, _ := play(NewGuest(place, "Disc", "here", true).ByHand(), serial, "?")
	ended, quit := play(NewEnded(place, "Check", "well", true, nil, "the shell").ByHand(), serial, "m")
	for _, view := range []string{guest.View(), ended.View()} {
		if strings.Contains(view, "menu") || strings.Contains(view, "reboot") || quit {
			t.Errorf("quit %v; offered:\n%s", quit, view)
		}
	}
}

// The second console is for who sits at a screen.
func TestHelpNamesTheSecondConsole(t *testing.T) {
	for _, look := range []Look{vga, serial} {
		m, _ := play(NewChooser(ChooserConfig{Place: place, Items: items(), Timeout: -1}), look, "?")
		if got := strings.Contains(m.View(), "Alt+F2"); got != look.Graphics {
			t.Errorf("%+v: it is named: %v", look, got)
		}
	}
}

package menu

import (
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
)

func TestChooserKeys(t *testing.T) {
	person := func(action decision.Action, system string) decision.Decision {
		return decision.Decision{Action: action, System: system, ByPerson: true}
	}
	for name, tt := range map[string]struct {
		play []any
		want decision.Decision
	}{
		"nothing":               {nil, decision.Decision{}},
		"enter":                 {[]any{"<enter>"}, person(decision.Start, "debian")},
		"line feed":             {[]any{"<lf>"}, person(decision.Start, "debian")},
		"down":                  {[]any{"<down><enter>"}, person(decision.Start, "lab")},
		"j k":                   {[]any{"jjkkj<enter>"}, person(decision.Start, "lab")},
		"not above the first":   {[]any{"<up><up><enter>"}, person(decision.Start, "debian")},
		"end":                   {[]any{"<end><enter>"}, person(decision.Start, "memtest")},
		"end, home":             {[]any{"<end><home><enter>"}, person(decision.Start, "debian")},
		"pgdn":                  {[]any{"<pgdn><enter>"}, person(decision.Start, "memtest")},
		"pgdn, pgup":            {[]any{"<pgdn><pgup><enter>"}, person(decision.Start, "debian")},
		"unavailable":           {[]any{"jj<enter>"}, decision.Decision{}},
		"filter":                {[]any{"/mem<enter>"}, person(decision.Start, "memtest")},
		"filter is no command":  {[]any{"/sr<enter>"}, decision.Decision{}},
		"filter by description": {[]any{"/PUPILS use<enter>"}, person(decision.Start, "lab")},
		"filter, down":          {[]any{"/e<down><enter>"}, person(decision.Start, "lab")},
		"filter, backspace":     {[]any{"/memx<bs><enter>"}, person(decision.Start, "memtest")},
		"filter, space":         {[]any{"/mem<space>test<enter>"}, person(decision.Start, "memtest")},
		"filter, esc":           {[]any{"/mem<esc>k<enter>"}, decision.Decision{}}, // the cursor stays on memtest; above it is big
		"filter, no match":      {[]any{"/zzz<enter>"}, decision.Decision{}},
		"no match, esc":         {[]any{"/zzz<esc><enter>"}, person(decision.Start, "debian")},
		"clipboard":             {[]any{"/<ctrl+v>mem<enter>"}, person(decision.Start, "memtest")},
		"hidden":                {[]any{"/secret<enter>"}, person(decision.Start, "secret")},
		"hidden, part of it":    {[]any{"/secre<enter>"}, decision.Decision{}},
		"described, started":    {[]any{"dj<enter>"}, person(decision.Start, "debian")},
		"described, gone back":  {[]any{"dsj<enter>"}, person(decision.Start, "lab")},
		"nothing to describe":   {[]any{"/zzz<esc>d<esc>s"}, person(decision.Shell, "")},
		"shell":                 {[]any{"s"}, person(decision.Shell, "")},
		"reboot once":           {[]any{"r"}, decision.Decision{}},
		"reboot twice":          {[]any{"rr"}, person(decision.Reboot, "")},
		"reboot, other key":     {[]any{"rjr"}, decision.Decision{}},
		"reboot, too late":      {[]any{0 * time.Second, "r", 6 * time.Second, "r"}, decision.Decision{}},
		"reboot, in time":       {[]any{0 * time.Second, "r", 4 * time.Second, "r"}, person(decision.Reboot, "")},
		"power off":             {[]any{"pp"}, person(decision.PowerOff, "")},
		"r then p":              {[]any{"rp"}, decision.Decision{}},
		"overlay takes a key":   {[]any{"is"}, decision.Decision{}},
		"overlay, then a key":   {[]any{"i<esc>s"}, person(decision.Shell, "")},
		"help takes a key":      {[]any{"?<enter>"}, decision.Decision{}},
		"ctrl+c":                {[]any{"<ctrl+c>"}, decision.Decision{}},
		"deaf afterwards":       {[]any{"<enter>j<enter>s"}, person(decision.Start, "debian")},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := play(NewChooser(ChooserConfig{Items: items(), Timeout: -1}), tt.play...)
			if got := m.(Chooser).Answer(); got != tt.want {
				t.Errorf("choice %+v, want %+v\n%s", got, tt.want, m.View())
			}
		})
	}
}

func TestChooserQuits(t *testing.T) {
	if _, quit := play(NewChooser(ChooserConfig{Items: items(), Timeout: -1}), "j"); quit {
		t.Error("quits without an answer")
	}
	if _, quit := play(NewChooser(ChooserConfig{Items: items(), Timeout: -1}), "s"); !quit {
		t.Error("does not quit with an answer")
	}
}

func TestChooserCountdown(t *testing.T) {
	byItself := decision.Decision{Action: decision.Start, System: "lab"}
	for name, tt := range map[string]struct {
		deflt   string
		timeout int
		play    []any
		want    decision.Decision
		shows   string
	}{
		"runs":              {"lab", 10, []any{0 * time.Second, 3 * time.Second}, decision.Decision{}, "0:07"},
		"ends":              {"lab", 10, []any{0 * time.Second, 9 * time.Second, 10 * time.Second}, byItself, ""},
		"starts with tick":  {"lab", 10, []any{100 * time.Second, 105 * time.Second}, decision.Decision{}, "0:05"},
		"zero":              {"lab", 0, []any{0 * time.Second}, byItself, ""},
		"negative":          {"lab", -1, []any{0 * time.Second, time.Hour}, decision.Decision{}, "> Lab"},
		"any key":           {"lab", 10, []any{0 * time.Second, "x", 60 * time.Second}, decision.Decision{}, "> Lab"},
		"overlay key":       {"lab", 10, []any{0 * time.Second, "i", 60 * time.Second}, decision.Decision{}, "goes back"},
		"cursor on default": {"lab", 10, []any{"<enter>"}, decision.Decision{Action: decision.Start, System: "lab", ByPerson: true}, ""},
		"no default":        {"", 10, []any{0 * time.Second, time.Hour}, decision.Decision{}, "> Debian"},
		"unknown default":   {"nope", 10, []any{0 * time.Second, time.Hour}, decision.Decision{}, `"nope" is not offered`},
		"unavailable":       {"big", 10, []any{0 * time.Second, time.Hour}, decision.Decision{}, "default system can't be started here"},
		"hidden":            {"secret", 1, []any{0 * time.Second, time.Second}, decision.Decision{Action: decision.Start, System: "secret"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := play(NewChooser(ChooserConfig{Items: items(), Default: tt.deflt, Timeout: tt.timeout}), tt.play...)
			if got := m.(Chooser).Answer(); got != tt.want {
				t.Errorf("choice %+v, want %+v", got, tt.want)
			}
			if view := m.View(); !strings.Contains(view, tt.shows) {
				t.Errorf("no %q in\n%s", tt.shows, view)
			}
		})
	}
}

// What is chosen must not depend on the terminal: copies on terminals of all sizes stay alike.
func TestChooserAlikeOnAllSizes(t *testing.T) {
	sequence := []any{"<pgdn>jj", "/1<down><down><esc>", "<pgup>", "<enter>"}
	want := decision.Decision{}
	for i, size := range []tea.WindowSizeMsg{{Width: 80, Height: 24}, {Width: 40, Height: 10}, {Width: 200, Height: 60}, {Width: 1, Height: 1}} {
		m, _ := play(NewChooser(ChooserConfig{Items: many(40), Timeout: -1}), append([]any{size}, sequence...)...)
		got := m.(Chooser).Answer()
		if i == 0 {
			want = got
		}
		if got != want || got.Action != decision.Start {
			t.Errorf("%+v: chose %+v, others %+v", size, got, want)
		}
	}
}

// The cursor is always on the screen, however small it is.
func TestChooserScrolls(t *testing.T) {
	for height := 5; height <= 30; height++ {
		var m tea.Model = NewChooser(ChooserConfig{Items: many(40), Timeout: -1})
		m, _ = play(m, tea.WindowSizeMsg{Width: 60, Height: height})
		for i := range 40 {
			if view := m.View(); !strings.Contains(view, "> System ") {
				t.Fatalf("height %d, item %d: no cursor in\n%s", height, i, view)
			}
			m, _ = play(m, "j")
		}
	}
}

func TestTinyTerminals(t *testing.T) {
	config := ChooserConfig{Place: place, Items: items(), Default: "lab", Timeout: 5, Notices: []string{"a notice"}}
	for _, m := range []tea.Model{NewChooser(config), NewTransfer(place, "x"),
		NewProblem("title", "cause", "try", time.Second)} {
		for width := 1; width < 50; width += 3 {
			for height := 1; height < 14; height++ {
				for _, k := range []string{"", "i", "?", "l", "/abc"} {
					size := tea.WindowSizeMsg{Width: width, Height: height}
					small, _ := play(m, vga, size, fetching(), k)
					checkView(t, small.View(), vga, size)
				}
			}
		}
	}
}

func TestHostileTexts(t *testing.T) {
	bad := "a\x1b[2Jb\nc\r\u009b1m"
	m, _ := play(NewChooser(ChooserConfig{Place: Place{Site: bad}, Notices: []string{bad}, Timeout: -1,
		Items: []Item{{Name: bad, Title: bad, Description: bad}, {Name: "b", Unavailable: bad}}}), serial, LogLine(bad))
	for _, k := range []string{"", "j<enter>", "l"} {
		m, _ = play(m, k)
		if view := m.View(); strings.ContainsAny(view, "\x1b\r\u009b") {
			t.Errorf("control characters in %q", view)
		}
	}
}

// A description that is longer than its line, or than the screen, can be read to its end on any console.
func TestDescriptionToItsEnd(t *testing.T) {
	long := "Begins here. " + strings.Repeat("more of it, ", 200) + "and ends so."
	c := NewChooser(ChooserConfig{Items: []Item{{Name: "a", Title: "Long one", Description: long, Unavailable: "needs 4.0 GiB of memory"}}, Timeout: -1})
	for _, size := range []tea.WindowSizeMsg{{Width: 80, Height: 24}, {Width: 100, Height: 40}, {Width: 40, Height: 12}, {Width: 20, Height: 6}} {
		m, _ := play(c, size, "d")
		if view := m.View(); !strings.Contains(view, "Not available") || size.Height < 30 && strings.Contains(view, "ends so.") {
			t.Errorf("%v begins with\n%s", size, view)
		}
		for press := 0; ; press++ {
			if view := m.View(); strings.Contains(view, "ends so.") {
				break
			}
			if press > 100 {
				t.Fatalf("%v: the end is not reached:\n%s", size, m.View())
			}
			m, _ = play(m, "<pgdn>")
		}
		if m, _ = play(m, "<home>"); !strings.Contains(m.View(), "Not available") {
			t.Errorf("%v: not back at the beginning:\n%s", size, m.View())
		}
		if m, _ = play(m, "x"); strings.Contains(m.View(), "scroll") || strings.Contains(m.View(), "goes back") {
			t.Errorf("%v: another key doesn't go back:\n%s", size, m.View())
		}
	}
}

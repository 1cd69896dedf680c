package menu

import (
	"slices"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
)

// A locked menu lets everybody start the default, reboot and switch off, and nothing else without the password.
func TestLocked(t *testing.T) {
	right, wrong := PasswordMsg{Try: 1, Right: true}, PasswordMsg{Try: 1}
	pause := PasswordMsg{Try: 1, Until: start.Add(30 * time.Second)}
	person := func(action decision.Action, system string) decision.Decision {
		return decision.Decision{Action: action, System: system, ByPerson: true}
	}
	for name, tt := range map[string]struct {
		play  []any
		want  decision.Decision
		tried []string
	}{
		"the default":                  {[]any{"<enter>"}, person(decision.Start, "debian"), nil},
		"the countdown":                {[]any{0 * time.Second, 11 * time.Second}, decision.Decision{Action: decision.Start, System: "debian"}, nil},
		"reboot":                       {[]any{"rr"}, person(decision.Reboot, ""), nil},
		"power off":                    {[]any{"pp"}, person(decision.PowerOff, ""), nil},
		"another asks":                 {[]any{"j<enter>"}, decision.Decision{}, nil},
		"another, not checked":         {[]any{"j<enter>pass<enter>"}, decision.Decision{}, []string{"pass"}},
		"another, right":               {[]any{"j<enter>pass<enter>", right}, person(decision.Start, "lab"), []string{"pass"}},
		"another, wrong":               {[]any{"j<enter>pas<enter>", wrong}, decision.Decision{}, []string{"pas"}},
		"wrong, then right":            {[]any{"j<enter>a<enter>", wrong, "b<enter>", PasswordMsg{Try: 2, Right: true}}, person(decision.Start, "lab"), []string{"a", "b"}},
		"an old answer":                {[]any{"j<enter>a<enter>", wrong, "b<enter>", right}, decision.Decision{}, []string{"a", "b"}},
		"gone back meanwhile":          {[]any{"j<enter>a<enter><esc>", right}, decision.Decision{}, []string{"a"}},
		"gone back, the default":       {[]any{"j<enter>a<esc>k<enter>"}, person(decision.Start, "debian"), nil},
		"nothing while it is checked":  {[]any{"j<enter>a<enter>b<enter>"}, decision.Decision{}, []string{"a"}},
		"nothing in the pause":         {[]any{0 * time.Second, "j<enter>a<enter>", pause, 29 * time.Second, "b<enter>"}, decision.Decision{}, []string{"a"}},
		"after the pause":              {[]any{0 * time.Second, "j<enter>a<enter>", pause, 31 * time.Second, "b<enter>"}, decision.Decision{}, []string{"a", "b"}},
		"the shell asks":               {[]any{"s"}, decision.Decision{}, nil},
		"the shell":                    {[]any{"spass<enter>", right}, person(decision.Shell, ""), []string{"pass"}},
		"a hidden system asks":         {[]any{"/secret<enter>"}, decision.Decision{}, nil},
		"described, started":           {[]any{"jd<enter>"}, decision.Decision{}, nil},
		"its keys are letters":         {[]any{"j<enter>rr"}, decision.Decision{}, nil},
		"an answer that nobody wanted": {[]any{right}, decision.Decision{}, nil},
		"who went away":                {[]any{0 * time.Second, "spass", 61 * time.Second, "<enter>"}, person(decision.Start, "debian"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var tried []string
			lock := Lock{Check: func(try int, password string) {
				if tried = append(tried, password); try != len(tried) {
					t.Errorf("try %d has the number %d", len(tried), try)
				}
			}}
			m, quit := play(NewChooser(ChooserConfig{Place: place, Items: items(), Default: "debian", Timeout: 10, Lock: lock}), tt.play...)
			if got := m.(Chooser).Answer(); got != tt.want || quit != (tt.want.Action != decision.None) {
				t.Errorf("decided %+v (quit %v), want %+v", got, quit, tt.want)
			}
			if !slices.Equal(tried, tt.tried) {
				t.Errorf("passwords %q, want %q", tried, tt.tried)
			}
		})
	}
}

// The other screens with a shell keep that, and only that.
func TestLockedScreens(t *testing.T) {
	lock := Lock{Check: func(int, string) {}}
	problem := NewProblem("No network", "no link", "plug it in", 0, decision.Retry, decision.Choose, decision.Type, decision.Shell).Locked(lock)
	guest := NewGuest(place, "Windows", "on the screen", true).Locked(lock)
	for _, m := range []tea.Model{problem, guest} {
		after, quit := play(m, "s")
		if a := after.(answering).Answer().Action; quit || a != decision.None {
			t.Errorf("%T: s decides %v without a password", m, a)
		}
		after, quit = play(after, "x<enter>", PasswordMsg{Try: 1, Right: true})
		if a := after.(answering).Answer().Action; !quit || a != decision.Shell {
			t.Errorf("%T: with the password s decides %v", m, a)
		}
	}
	if after, _ := play(problem, "a"); after.(Problem).Answer().Action != decision.Type {
		t.Error("the seeder's address can't be typed")
	}
}

// A hidden menu shows no list until a key is pressed, which does nothing else.
func TestHidden(t *testing.T) {
	c := NewChooser(ChooserConfig{Place: place, Items: items(), Default: "debian", Timeout: 10, Hidden: true})
	m, quit := play(c, 0*time.Second, "<enter>", 20*time.Second)
	if quit {
		t.Fatal("the key that shows the list has started something, or the countdown went on")
	}
	if m, _ = play(m, "j<enter>"); m.(Chooser).Answer().System != "lab" {
		t.Errorf("the list then starts %+v", m.(Chooser).Answer())
	}
	if m, _ = play(c, 0*time.Second, 11*time.Second); m.(Chooser).Answer() != (decision.Decision{Action: decision.Start, System: "debian"}) {
		t.Errorf("the countdown decides %+v", m.(Chooser).Answer())
	}
	for name, config := range map[string]ChooserConfig{
		"no default":       {Items: items(), Timeout: 10, Hidden: true},
		"no countdown":     {Items: items(), Default: "debian", Timeout: -1, Hidden: true},
		"unavailable":      {Items: items(), Default: "big", Timeout: 10, Hidden: true},
		"it is not listed": {Items: items(), Default: "gone", Timeout: 10, Hidden: true},
	} {
		if NewChooser(config).hidden {
			t.Errorf("%s: nothing is counted down, and the list is not shown", name)
		}
	}
}

package input

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// guest writes down what it is told.
type guest struct{ told []string }

func (g *guest) Key(scancode uint8, keysym uint32, down bool) bool {
	mark := "-"
	if down {
		mark = "+"
	}
	g.told = append(g.told, fmt.Sprintf("%s%#x/%#x", mark, scancode, keysym))
	return true
}

func (g *guest) Pointer(buttons uint8, x, y, dx, dy int) bool {
	g.told = append(g.told, fmt.Sprintf("mouse %03b at %d,%d by %d,%d", buttons, x, y, dx, dy))
	return true
}

func (g *guest) LetGo(x, y int) { g.told = append(g.told, "let go") }

// picture is a guest's picture of 640 by 480.
type picture struct{}

func (picture) Size() (w, h int)                { return 640, 480 }
func (picture) Guest(x, y float64) (gx, gy int) { return int(x * 640), int(y * 480) }
func (picture) MovePointer(x, y int)            {}
func (picture) HidePointer()                    {}

// keys is a device without a kernel.
type keys struct{ grabbed, down bool }

func (k *keys) grab(on bool) error { k.grabbed = on; return nil }
func (k *keys) held() bool         { return k.down }
func (k *keys) light(Lights)       {}

// desk is a router with a keyboard and a mouse.
type desk struct {
	*Router
	guest    guest
	keys     keys
	keyboard *source
	mouse    *source
	done     []string // chords
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{}
	d.Router = NewRouter(&d.guest, picture{}, Chords{
		Leave: func() { d.done = append(d.done, "leave") }, Switch: func(n int) { d.done = append(d.done, fmt.Sprint("switch ", n)) }})
	d.keyboard = &source{name: "keyboard", device: &d.keys, abilities: abilities{keyboard: true}}
	d.mouse = &source{name: "mouse", device: &keys{}, abilities: abilities{mouse: true}}
	d.add(d.keyboard)
	d.add(d.mouse)
	d.Focus()
	return d
}

// press types: "+29 -29 29" is down, up, down and up.
func (d *desk) press(codes string) {
	for _, word := range strings.Fields(codes) {
		var code uint16
		if _, err := fmt.Sscanf(strings.TrimLeft(word, "+-"), "%d", &code); err != nil {
			panic(err)
		}
		if word[0] != '-' {
			d.handle(d.keyboard, Event{evKey, code, keyDown})
			d.handle(d.keyboard, Event{evSyn, synReport, 0})
		}
		if word[0] != '+' {
			d.handle(d.keyboard, Event{evKey, code, keyUp})
			d.handle(d.keyboard, Event{evSyn, synReport, 0})
		}
	}
}

// Codes of keys (linux/input-event-codes.h): 30 is A, 29 the left Ctrl, 56 the left Alt, 97 and 100 the right ones, 14 Backspace,
// 60 F2, 103 the up arrow.
func TestKeys(t *testing.T) {
	for _, tt := range []struct {
		name, typed string
		told, done  []string
	}{
		{"a letter", "30", []string{"+0x1e/0x61", "-0x1e/0x61"}, nil},
		{"with shift", "+42 30 -42", []string{"+0x2a/0xffe1", "+0x1e/0x41", "-0x1e/0x41", "-0x2a/0xffe1"}, nil},
		{"an extended key", "103", []string{"+0xc8/0xff52", "-0xc8/0xff52"}, nil},
		{"one that repeats", "+30 +30 -30", []string{"+0x1e/0x61", "+0x1e/0x61", "-0x1e/0x61"}, nil},
		{"Ctrl+Alt+Delete is the guest's", "+29 +56 111 -56 -29",
			[]string{"+0x1d/0xffe3", "+0x38/0xffe9", "+0xd3/0xffff", "-0xd3/0xffff", "-0x38/0xffe9", "-0x1d/0xffe3"}, nil},
		{"Alt+F2 is the guest's", "+56 60 -56", []string{"+0x38/0xffe9", "+0x3c/0xffbf", "-0x3c/0xffbf", "-0x38/0xffe9"}, nil},
		{"leave: nothing stays down, and of the third key nothing is told", "+29 +56 14 -56 -29",
			[]string{"+0x1d/0xffe3", "+0x38/0xffe9", "-0x1d/0xffe3", "-0x38/0xffe9", "let go"}, []string{"leave"}},
		{"leave, by the right hand", "+97 +100 14 -100 -97",
			[]string{"+0x9d/0xffe4", "+0xb8/0xffea", "-0x9d/0xffe4", "-0xb8/0xffea", "let go"}, []string{"leave"}},
		{"another console, and what is typed while the keys are down", "+29 +56 60 30 -56 -29 30",
			[]string{"+0x1d/0xffe3", "+0x38/0xffe9", "-0x1d/0xffe3", "-0x38/0xffe9", "let go", "+0x1e/0x61", "-0x1e/0x61"}, []string{"switch 2"}},
		{"nothing is done before the third key is up", "+29 +56 +14", []string{"+0x1d/0xffe3", "+0x38/0xffe9", "-0x1d/0xffe3", "-0x38/0xffe9", "let go"}, nil},
	} {
		d := newDesk(t)
		d.press(tt.typed)
		if got := told(d.guest.told); !slices.Equal(got, told(tt.told)) || !slices.Equal(d.done, tt.done) {
			t.Errorf("%s: the guest is told %q, done is %q\nwant %q, %q", tt.name, d.guest.told, d.done, tt.told, tt.done)
		}
	}
}

// told leaves out that buttons are let go, which does no harm where none is down.
func told(all []string) (keys []string) {
	for _, s := range all {
		if s != "let go" {
			keys = append(keys, s)
		}
	}
	return keys
}

// Keys that are down when the console is taken away, or the keyboard pulled out, go up in the guest.
func TestNothingSticks(t *testing.T) {
	for name, lose := range map[string]func(d *desk){
		"another console comes": func(d *desk) { d.Blur() },
		"the keyboard goes":     func(d *desk) { d.remove(d.keyboard) },
		"events were lost":      func(d *desk) { d.drop(d.keyboard) },
	} {
		d := newDesk(t)
		d.press("+30 +42")
		lose(d)
		down := map[string]bool{}
		for _, s := range told(d.guest.told) {
			code, _, _ := strings.Cut(s[1:], "/")
			down[code] = s[0] == '+'
		}
		if down["0x1e"] || down["0x2a"] || len(down) != 2 {
			t.Errorf("%s: %q", name, d.guest.told)
		}
	}
}

// Without the focus nothing is the guest's, and the devices are the console's.
func TestFocus(t *testing.T) {
	d := newDesk(t)
	if !d.keys.grabbed {
		t.Error("the keyboard is not taken")
	}
	d.Blur()
	d.press("30")
	if d.keys.grabbed || len(told(d.guest.told)) > 0 {
		t.Errorf("without focus: grabbed %v, told %q", d.keys.grabbed, d.guest.told)
	}
	// A key that is down when the focus comes belongs to the console: the device is taken when it is up.
	d.keys.down = true
	d.Focus()
	if d.keys.grabbed {
		t.Error("a keyboard is taken while a key is down")
	}
	d.keys.down = false
	d.press("-30")
	d.press("31")
	if want := []string{"+0x1f/0x73", "-0x1f/0x73"}; !d.keys.grabbed || !slices.Equal(told(d.guest.told), want) {
		t.Errorf("grabbed %v, told %q, want %q", d.keys.grabbed, d.guest.told, want)
	}
}

func TestMouse(t *testing.T) {
	d := newDesk(t)
	move := func(events ...Event) {
		for _, e := range append(events, Event{evSyn, synReport, 0}) {
			d.handle(d.mouse, e)
		}
	}
	move(Event{evRel, relX, 5}, Event{evRel, relY, -3})
	move(Event{evKey, btnLeft, 1})
	move(Event{evKey, btnLeft, 0})
	move()
	if len(d.guest.told) != 3 || !strings.Contains(d.guest.told[0], "by 5,-3") || !strings.Contains(d.guest.told[1], "mouse 001") || !strings.Contains(d.guest.told[2], "mouse 000") {
		t.Errorf("a mouse that moves and clicks: %q", d.guest.told)
	}
	d.guest.told = nil
	d.SetAbsolute(true)
	d.mouse.abilities = abilities{mouse: true, tablet: true, axes: [2]axis{{0, 1000}, {0, 1000}}}
	move(Event{evAbs, absX, 500}, Event{evAbs, absY, 250})
	if len(d.guest.told) != 1 || !strings.Contains(d.guest.told[0], "at 320,120") {
		t.Errorf("a tablet: %q", d.guest.told)
	}
}

package input

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a terminal says in K_MEDIUMRAW (kbd_keycode in drivers/tty/vt/keyboard.c), in pieces as they come.
func TestMediumRaw(t *testing.T) {
	for name, tt := range map[string]struct {
		bytes, want string
	}{
		"down and up":                         {"\x1e\x9e", "+30 -30"},
		"a code of more than seven bits":      {"\x00\x81\x84\x80\x81\x84", "+132 -132"},
		"the highest of seven bits":           {"\x7f\xff", "+127 -127"},
		"a long one that was cut off":         {"\x00\x1e\x9e", "+30 -30"},
		"a long one that was cut off halfway": {"\x00\x81\x1e", "+30"},
	} {
		var d mediumRaw
		var got []string
		for _, b := range []byte(tt.bytes) {
			if code, up, ok := d.byte(b); ok {
				got = append(got, fmt.Sprintf("%c%d", map[bool]byte{true: '-', false: '+'}[up], code))
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %s", name, got, tt.want)
		}
	}
}

// A terminal in the place of a keyboard: a key that repeats is told again, and when the terminal ends nothing stays down.
func TestReadMediumRaw(t *testing.T) {
	d := newDesk(t)
	d.ReadMediumRaw(strings.NewReader("\x1e\x1e\x9e\x1f"))
	want := []string{"+0x1e/0x61", "+0x1e/0x61", "-0x1e/0x61", "+0x1f/0x73", "-0x1f/0x73"}
	if got := told(d.guest.told); !slices.Equal(got, want) || len(d.sources) != 2 {
		t.Errorf("told %q, want %q; %d sources", got, want, len(d.sources))
	}
}

// record is a struct input_event, as evdev has it.
func record(e Event) []byte {
	b := make([]byte, eventBytes)
	binary.NativeEndian.PutUint16(b[timeBytes:], e.Type)
	binary.NativeEndian.PutUint16(b[timeBytes+2:], e.Code)
	binary.NativeEndian.PutUint32(b[timeBytes+4:], uint32(e.Value))
	return b
}

// What a device says is handled in order; where the kernel lost something, what was down goes up, and what comes until the next report
// is left out (Documentation/input/event-codes.rst, SYN_DROPPED).
func TestReadOfADevice(t *testing.T) {
	d := newDesk(t)
	var said bytes.Buffer
	for _, e := range []Event{
		{evKey, 30, keyDown}, {evSyn, synReport, 0}, {evSyn, synDropped, 0}, {evKey, 31, keyDown}, {evSyn, synReport, 0},
		{evKey, 32, keyDown}, {evKey, 32, keyUp}, {evSyn, synReport, 0},
	} {
		said.Write(record(e))
	}
	said.WriteString("half an event")
	d.read(d.keyboard, &said)
	want := []string{"+0x1e/0x61", "-0x1e/0x61", "+0x20/0x64", "-0x20/0x64"}
	if got := told(d.guest.told); !slices.Equal(got, want) || len(d.sources) != 1 {
		t.Errorf("told %q, want %q; %d sources", got, want, len(d.sources))
	}
}

// The key that brought the terminal to the front may still be on its way when the device is taken: it is not the guest's.
func TestWhatWasTypedBefore(t *testing.T) {
	d := newDesk(t)
	d.Blur()
	var said bytes.Buffer
	type typed struct {
		at   int64
		code uint16
		down int32
	}
	write := func(keys ...typed) {
		for _, k := range keys {
			for _, e := range []Event{{evKey, k.code, k.down}, {evSyn, synReport, 0}} {
				b := record(e)
				binary.NativeEndian.PutUint64(b, uint64(k.at/1_000_000))
				binary.NativeEndian.PutUint64(b[8:], uint64(k.at%1_000_000))
				said.Write(b)
			}
		}
	}
	before := clock() - 1
	write(typed{before, 56, keyDown}, typed{before, 59, keyDown}, typed{before, 59, keyUp}, typed{before, 56, keyUp}) // Alt+F1
	d.Focus()
	after := clock() + 1
	write(typed{after, 30, keyDown}, typed{after, 30, keyUp})
	d.read(d.keyboard, &said)
	if got, want := told(d.guest.told), []string{"+0x1e/0x61", "-0x1e/0x61"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// set is a set of bits with these.
func set(bits ...int) *bitset {
	var b bitset
	for _, n := range bits {
		b[n/8] |= 1 << (n % 8)
	}
	return &b
}

// What is told of devices that people have.
func TestClassify(t *testing.T) {
	none := set()
	for name, tt := range map[string]struct {
		types, keys, rel, abs, props *bitset
		want                         abilities
	}{
		"a keyboard":       {set(evKey, evLED), set(1, 2, 30, 88), none, none, none, abilities{keyboard: true, lights: true}},
		"a keypad":         {set(evKey), set(96, 98), none, none, none, abilities{keyboard: true}},
		"a power button":   {set(evKey), set(116), none, none, none, abilities{}},
		"a mouse":          {set(evKey, evRel), set(btnLeft, btnRight), set(relX, relY, relWheel), none, none, abilities{mouse: true}},
		"a QEMU's tablet":  {set(evKey, evRel, evAbs), set(btnLeft, btnRight), set(relWheel), set(absX, absY), none, abilities{tablet: true}},
		"a touch screen":   {set(evKey, evAbs), set(btnTouch), none, set(absX, absY), set(propDirect), abilities{tablet: true}},
		"a touchpad":       {set(evKey, evAbs), set(btnLeft, btnTouch, btnToolFinger), none, set(absX, absY), none, abilities{touchpad: true}},
		"an accelerometer": {set(evAbs), none, none, set(absX, absY), none, abilities{}},
	} {
		if got := classify(tt.types, tt.keys, tt.rel, tt.abs, tt.props); got != tt.want {
			t.Errorf("%s is %+v, want %+v", name, got, tt.want)
		}
	}
}

// A finger on a touchpad moves the pointer from where it was; where it comes down does not.
func TestTouchpad(t *testing.T) {
	d := newDesk(t)
	d.mouse.abilities = abilities{touchpad: true, axes: [2]axis{{0, 2000}, {0, 1000}}}
	touch := func(x, y int32, events ...Event) {
		for _, e := range append(events, Event{evAbs, absX, x}, Event{evAbs, absY, y}, Event{evSyn, synReport, 0}) {
			d.handle(d.mouse, e)
		}
	}
	touch(200, 200, Event{evKey, btnTouch, 1})
	touch(220, 190)
	touch(1900, 900, Event{evKey, btnTouch, 1}) // lifted and put down elsewhere
	touch(1900, 920)
	if len(d.guest.told) != 2 || !strings.Contains(d.guest.told[0], "by 10,-5") || !strings.Contains(d.guest.told[1], "by 0,10") {
		t.Errorf("told %q", d.guest.told)
	}
}

// Notches of a wheel are a button's presses, so many at most.
func TestWheel(t *testing.T) {
	d := newDesk(t)
	for notches, want := range map[int32]int{1: 2, -2: 4, 1000: 2 * maxNotches} {
		d.guest.told = nil
		d.handle(d.mouse, Event{evRel, relWheel, notches})
		d.handle(d.mouse, Event{evSyn, synReport, 0})
		button := map[bool]string{true: "mouse 1000", false: "mouse 10000"}[notches > 0]
		if len(d.guest.told) != want || !strings.HasPrefix(d.guest.told[0], button) {
			t.Errorf("%d notches: %q", notches, d.guest.told)
		}
	}
}

// Files that are no input devices are named and left out; a folder that isn't there yet is waited for; closing ends all of it.
func TestDevicesThatAreNone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "input")
	d := newDesk(t)
	Open(folder, d.Router, t.Logf).Close()
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "event0"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	logged := make(chan string, 10)
	devices := Open(folder, d.Router, func(format string, args ...any) { logged <- fmt.Sprintf(format, args...) })
	if said := <-logged; !strings.Contains(said, "event0") || !strings.Contains(said, "left out") {
		t.Errorf("said %q", said)
	}
	// Another one, while the folder is watched.
	if err := os.WriteFile(filepath.Join(folder, "event1"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for said := ""; !strings.Contains(said, "event1"); said = <-logged {
	}
	if !devices.Keyboard() { // the desk's own
		t.Error("there is no keyboard")
	}
	devices.Close()
	if _, _, err := openEvdev(filepath.Join(folder, "gone")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// Any bytes from a device or a terminal do no harm, and leave no key down.
func FuzzEvents(f *testing.F) {
	f.Add(record(Event{evKey, 30, keyDown}))
	f.Add(append(record(Event{evAbs, absX, -1}), record(Event{evSyn, synReport, 0})...))
	f.Add([]byte("\x00\x81\x84\x1e"))
	f.Fuzz(func(t *testing.T, said []byte) {
		d := newDesk(t)
		d.mouse.abilities = abilities{mouse: true, tablet: true, touchpad: true, axes: [2]axis{{-5, 5}, {7, 7}}}
		d.read(d.mouse, bytes.NewReader(said))
		d.read(d.keyboard, io.LimitReader(bytes.NewReader(said), 1<<16))
		d.ReadMediumRaw(bytes.NewReader(said))
		for code, down := range d.held {
			if down {
				t.Errorf("the key %d stays down", code)
			}
		}
	})
}

// Package input passes keyboard and mouse of a machine on to a guest.
//
// In go the events of the kernel's input devices (evdev: Documentation/input/input.rst and event-codes.rst), which [Devices]
// finds and takes for itself (EVIOCGRAB), or of a virtual terminal's keyboard where there are none ([Router.ReadMediumRaw]);
// out come scan codes and mouse messages for a [Guest]. Some key chords are not for the guest: see [Chords].
package input

// Guest is what keys and mouse are passed on to; an rfb.Client is one.
type Guest interface {
	// Key tells of a key: its scan code and keysym. Down again is a key that repeats. It is false if it could not be told.
	Key(scancode uint8, keysym uint32, down bool) bool
	// Pointer tells of the mouse: its buttons, and where it is (x, y) or how far it moved (dx, dy).
	Pointer(buttons uint8, x, y, dx, dy int) bool
	// LetGo releases all buttons.
	LetGo(x, y int)
}

// Screen is where the guest's picture is shown; a framebuffer.Screen is one.
type Screen interface {
	// Size is the picture's size.
	Size() (w, h int)
	// Guest is the picture's point at a point of the screen, in shares of its size.
	Guest(x, y float64) (int, int)
	// MovePointer and HidePointer say where the guest's mouse pointer is, or that nobody knows.
	MovePointer(x, y int)
	HidePointer()
}

// Chords are what keys do that are not for the guest, all with Ctrl+Alt (either Ctrl, either Alt). The guest sees Ctrl and
// Alt go up when the third key goes down, and nothing more until every key is up. What the chord does it does when its
// third key goes up: a key that is still down would begin to repeat in the console that is shown next.
type Chords struct {
	// Leave is Ctrl+Alt+Backspace.
	Leave func()
	// Switch is Ctrl+Alt+F1 to F4: to the virtual terminal of that number.
	Switch func(number int)
}

// Lights are lights of a keyboard; the values are those of rfb.Lights.
type Lights uint8

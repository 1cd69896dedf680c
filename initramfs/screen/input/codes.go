package input

// Types, codes and values of linux/input-event-codes.h.
const (
	evSyn = 0x00
	evKey = 0x01
	evRel = 0x02
	evAbs = 0x03
	evLED = 0x11

	synReport  = 0
	synDropped = 3

	relX     = 0x00
	relY     = 0x01
	relWheel = 0x08
	absX     = 0x00
	absY     = 0x01

	ledNum    = 0
	ledCaps   = 1
	ledScroll = 2

	codeBackspace  = 14
	codeLeftCtrl   = 29
	codeLeftShift  = 42
	codeRightShift = 54
	codeLeftAlt    = 56
	codeF1         = 59
	codeF4         = 62
	codeF10        = 68
	codeRightCtrl  = 97
	codeRightAlt   = 100
	// firstButton is the first code that is no key of a keyboard.
	firstButton = 0x100

	btnLeft       = 0x110
	btnRight      = 0x111
	btnMiddle     = 0x112
	btnToolFinger = 0x145
	btnTouch      = 0x14a

	propDirect = 0x01
)

// Values of a key's event.
const (
	keyUp     = 0
	keyDown   = 1
	keyRepeat = 2
)

// Event is one event of an input device: struct input_event of linux/input.h without its time.
type Event struct {
	Type, Code uint16
	Value      int32
}

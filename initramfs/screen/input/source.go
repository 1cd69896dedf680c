package input

import "sync/atomic"

// device is what the kernel does with an input device; tests have another one.
type device interface {
	// grab takes the device for this program alone, or gives it back.
	grab(on bool) error
	// held is whether keys of a keyboard are down.
	held() bool
	// light switches its lights.
	light(l Lights)
}

// source is one input device, or a terminal in its place. It belongs to the Router, but for its reading.
type source struct {
	name   string
	device device
	abilities
	// live is whether its events are the guest's.
	live bool
	// since is when it became live last, on the clock of its events, in microseconds. What is older and comes only now was for the
	// console: the key, for example, that brought this terminal to the front.
	since atomic.Int64
	down  [len(scancodes)]bool

	buttons uint8
	motion  movement
	// at is where an absolute device is, finger where it was last if it is a touchpad.
	at, finger [2]int32
	touched    bool // a finger is on the touchpad, and its place is known
}

// abilities are what a device has.
type abilities struct {
	keyboard bool
	mouse    bool
	// tablet is a device that knows where it is: a tablet, a touch screen, a virtual machine's mouse.
	tablet bool
	// touchpad is one too, but it moves a pointer.
	touchpad bool
	lights   bool
	axes     [2]axis
}

// axis is the range of an absolute axis.
type axis struct{ low, high int32 }

// movement is what a mouse did since its last report.
type movement struct {
	dx, dy, wheel int
	// put is whether it was put somewhere.
	put bool
}

func (s *source) keysDown() bool { return s.keyboard && s.device.held() }

// take makes the source live. One that can't be grabbed is used all the same: the console hears its keys too then.
func (s *source) take(l Lights) {
	s.since.Store(clock())
	_ = s.device.grab(true)
	s.live = true
	clear(s.down[:])
	s.buttons = 0
	s.forget()
	s.light(l)
}

// give gives the device back; the kernel sets its lights for the console by itself (kbd_start in drivers/tty/vt/keyboard.c).
func (s *source) give() {
	if s.live {
		_ = s.device.grab(false)
		s.live = false
	}
	s.buttons = 0
	s.forget()
}

func (s *source) light(l Lights) {
	if s.lights && s.live {
		s.device.light(l)
	}
}

// button keeps a button's state.
func (s *source) button(code uint16, down bool) {
	var b uint8
	switch {
	case code == btnLeft, code == btnTouch && s.tablet:
		b = buttonLeft
	case code == btnRight:
		b = buttonRight
	case code == btnMiddle:
		b = buttonMiddle
	case code == btnTouch && s.touchpad:
		s.touched = false // where the finger is comes with the report
	}
	if s.buttons &^= b; down {
		s.buttons |= b
	}
}

// relative keeps a motion.
func (s *source) relative(code uint16, value int) {
	switch code {
	case relX:
		s.motion.dx += value
	case relY:
		s.motion.dy += value
	case relWheel:
		s.motion.wheel += value
	}
}

// absolute keeps a place.
func (s *source) absolute(code uint16, value int32) {
	if code > absY {
		return
	}
	s.at[code] = value
	s.motion.put = s.tablet
}

// padSteps is how many steps of a mouse the width of a touchpad is.
const padSteps = 1000

// slide turns the places of a finger on a touchpad into motion.
func (s *source) slide() {
	if !s.touchpad {
		return
	}
	if s.touched {
		span := max(1, int(s.axes[0].high)-int(s.axes[0].low))
		s.motion.dx += int(s.at[0]-s.finger[0]) * padSteps / span
		s.motion.dy += int(s.at[1]-s.finger[1]) * padSteps / span
	}
	s.finger, s.touched = s.at, true
}

// share is where an absolute device is on an axis, 0 to 1.
func (s *source) share(i int) float64 {
	a := s.axes[i]
	if a.high <= a.low {
		return 0
	}
	return max(0, min(float64(s.at[i]-a.low)/float64(a.high-a.low), 1))
}

// forget begins a new report.
func (s *source) forget() { s.motion = movement{} }

package input

// Buttons in messages to a guest (RFC 6143, 7.5.5); see rfb.ButtonLeft.
const (
	buttonLeft   = 1 << 0
	buttonMiddle = 1 << 1
	buttonRight  = 1 << 2
	wheelUp      = 1 << 3
	wheelDown    = 1 << 4
)

// maxNotches is how many notches of a wheel are passed on at once.
const maxNotches = 8

// pointer is the guest's mouse.
type pointer struct {
	// x, y is where it is, in the guest's pixels, if it is one that is put somewhere.
	x, y     int
	buttons  uint8
	absolute bool
}

// SetAbsolute says whether the guest's mouse is one that is put somewhere: then its pointer is where we put it.
func (r *Router) SetAbsolute(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pointer.absolute = on
	if !on {
		r.screen.HidePointer()
	}
}

// report tells the guest what a source's mouse did; r.mu is held.
func (p *pointer) report(r *Router, s *source) {
	s.slide()
	motion := s.motion
	s.forget()
	var buttons uint8
	for other := range r.sources {
		buttons |= other.buttons
	}
	if motion == (movement{}) && buttons == p.buttons {
		return
	}
	x, y := p.x, p.y
	p.move(r, s, motion)
	if p.x != x || p.y != y || motion.dx != 0 || motion.dy != 0 || buttons != p.buttons {
		dx, dy := motion.dx, motion.dy
		if motion.put {
			dx, dy = p.x-x, p.y-y
		}
		if r.guest.Pointer(buttons, p.x, p.y, dx, dy) {
			p.buttons = buttons
		}
	}
	p.turn(r.guest, motion.wheel)
	if p.absolute {
		r.screen.MovePointer(p.x, p.y)
	}
}

// move moves the pointer within the guest's screen.
func (p *pointer) move(r *Router, s *source, m movement) {
	w, h := r.screen.Size()
	if m.put {
		p.x, p.y = r.screen.Guest(s.share(0), s.share(1))
	}
	p.x = max(0, min(p.x+m.dx, w-1))
	p.y = max(0, min(p.y+m.dy, h-1))
}

// turn turns the wheel: a button that goes down and up for each notch.
func (p *pointer) turn(g Guest, notches int) {
	button := uint8(wheelUp)
	if notches < 0 {
		button, notches = wheelDown, -notches
	}
	for range min(notches, maxNotches) {
		g.Pointer(p.buttons|button, p.x, p.y, 0, 0)
		g.Pointer(p.buttons, p.x, p.y, 0, 0)
	}
}

// let releases the buttons in the guest.
func (p *pointer) let(r *Router) {
	if p.buttons != 0 {
		p.buttons = 0
		r.guest.LetGo(p.x, p.y)
	}
}

package input

import (
	"sync"
	"time"
)

// Router makes of events what a guest is told. Its methods may be called from any goroutine.
type Router struct {
	guest  Guest
	screen Screen
	chords Chords

	mu sync.Mutex
	// focus is whether input is the guest's just now.
	focus   bool
	focused time.Time
	sources map[*source]bool
	lights  Lights
	// held are the keys that are down in the guest.
	held [len(scancodes)]bool
	// chord is the key that completed a chord, 0 if it went up again; swallow is whether keys are kept from the guest.
	chord   uint16
	swallow bool
	// quiet is closed when no key is down any more, for whoever waits for that.
	quiet chan struct{}

	pointer pointer
}

// NewRouter makes a router, of which nothing goes to the guest yet: see Focus.
func NewRouter(guest Guest, screen Screen, chords Chords) *Router {
	return &Router{guest: guest, screen: screen, chords: chords, sources: map[*source]bool{}}
}

// Focus makes input the guest's. A device some of whose keys are down is taken when they are up: the console that had them
// until now must see that.
func (r *Router) Focus() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.focus, r.focused = true, time.Now()
	for s := range r.sources {
		r.take(s)
	}
}

// Blur gives the devices back and releases everything in the guest.
func (r *Router) Blur() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.focus {
		return
	}
	r.focus, r.swallow, r.chord = false, false, 0
	r.release()
	for s := range r.sources {
		s.give()
	}
}

// Quiet waits until no key is down, for as long as given at most.
func (r *Router) Quiet(patience time.Duration) {
	r.mu.Lock()
	if !r.anyDown() {
		r.mu.Unlock()
		return
	}
	if r.quiet == nil {
		r.quiet = make(chan struct{})
	}
	quiet := r.quiet
	r.mu.Unlock()
	select {
	case <-quiet:
	case <-time.After(patience):
	}
}

// SetLights switches the lights of the keyboards that are the guest's.
func (r *Router) SetLights(l Lights) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lights = l
	for s := range r.sources {
		s.light(l)
	}
}

// add adds a source.
func (r *Router) add(s *source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sources[s] = true
	if r.focus {
		r.take(s)
	}
}

// remove removes a source: its keys go up.
func (r *Router) remove(s *source) {
	r.drop(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sources, s)
}

// drop makes all keys of a source go up: it is gone, or the kernel lost some of its events.
func (r *Router) drop(s *source) {
	r.mu.Lock()
	keys := s.down
	r.mu.Unlock()
	for code, down := range keys {
		if down {
			r.handle(s, Event{evKey, uint16(code), keyUp})
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.buttons != 0 {
		s.buttons = 0
		r.pointer.let(r)
	}
}

// patience is how long a device with keys that are down is left to the console: some have keys that never go up.
const patience = 5 * time.Second

// take makes a source the guest's if its keys are up; r.mu is held.
func (r *Router) take(s *source) {
	if s.live {
		return
	}
	if s.keysDown() && time.Since(r.focused) < patience {
		return
	}
	s.take(r.lights)
}

// handle handles one event of a source, whose events come in order from one goroutine.
func (r *Router) handle(s *source, e Event) {
	r.mu.Lock()
	var then func()
	switch e.Type {
	case evKey:
		if e.Code < firstButton {
			then = r.key(s, e.Code, e.Value)
		} else {
			s.button(e.Code, e.Value != keyUp)
		}
	case evRel:
		s.relative(e.Code, int(e.Value))
	case evAbs:
		s.absolute(e.Code, e.Value)
	case evSyn:
		if e.Code == synReport {
			r.report(s)
		}
	}
	r.mu.Unlock()
	if then != nil {
		then()
	}
}

// report handles the end of what belongs together; r.mu is held.
func (r *Router) report(s *source) {
	switch {
	case !r.focus:
		s.forget()
	case !s.live:
		s.forget()
		r.take(s)
	default:
		r.pointer.report(r, s)
	}
}

// key handles a key and returns what is to be done when r.mu, which is held, is free.
func (r *Router) key(s *source, code uint16, value int32) (then func()) {
	if int(code) >= len(s.down) {
		return nil
	}
	if value == keyDown && s.down[code] {
		value = keyRepeat // a terminal does not tell the two apart
	}
	s.down[code] = value != keyUp
	still := r.anyDown()
	if !still && r.quiet != nil {
		close(r.quiet)
		r.quiet = nil
	}
	switch {
	case !r.focus || !s.live:
	case r.swallow:
		if value == keyUp && code == r.chord {
			r.chord = 0
			then = r.action(code)
		}
		r.swallow = still
	case value == keyDown && r.action(code) != nil && r.isDown(codeLeftCtrl, codeRightCtrl) && r.isDown(codeLeftAlt, codeRightAlt):
		r.release()
		r.chord, r.swallow = code, true
	default:
		r.tell(code, value != keyUp)
	}
	return then
}

// action is what a key does in a chord, nil if it is in none.
func (r *Router) action(code uint16) func() {
	switch {
	case code == codeBackspace:
		return r.chords.Leave
	case code >= codeF1 && code <= codeF4:
		return func() { r.chords.Switch(int(code-codeF1) + 1) }
	}
	return nil
}

// tell tells the guest of a key. What it could not be told is down does not go up either.
func (r *Router) tell(code uint16, down bool) {
	scan := scancode(code)
	if scan == 0 || !down && !r.held[code] {
		return
	}
	sym := keysym(code, r.isDown(codeLeftShift, codeRightShift))
	if r.guest.Key(scan, sym, down) {
		r.held[code] = down
	}
}

// release makes everything go up in the guest.
func (r *Router) release() {
	for code, held := range r.held {
		if held {
			r.tell(uint16(code), false)
		}
	}
	r.pointer.let(r)
}

// isDown is whether one of two keys is down on any keyboard.
func (r *Router) isDown(one, other uint16) bool {
	for s := range r.sources {
		if s.down[one] || s.down[other] {
			return true
		}
	}
	return false
}

func (r *Router) anyDown() bool {
	for s := range r.sources {
		for _, down := range s.down {
			if down {
				return true
			}
		}
	}
	return false
}

package input

import "io"

// terminal stands for a virtual terminal in the place of a device: it is the program's alone anyway.
type terminal struct{}

func (terminal) grab(bool) error { return nil }
func (terminal) held() bool      { return false }
func (terminal) light(Lights)    {}

// ReadMediumRaw reads keys from a terminal in the keyboard mode K_MEDIUMRAW until it ends.
func (r *Router) ReadMediumRaw(from io.Reader) {
	s := &source{name: "terminal", device: terminal{}, abilities: abilities{keyboard: true}}
	r.add(s)
	defer r.remove(s)
	var d mediumRaw
	var b [256]byte
	for {
		n, err := from.Read(b[:])
		for _, c := range b[:n] {
			if code, up, ok := d.byte(c); ok {
				value := int32(keyDown) // again, for a key that repeats
				if up {
					value = keyUp
				}
				r.handle(s, Event{evKey, code, value})
				r.handle(s, Event{evSyn, synReport, 0})
			}
		}
		if err != nil {
			return
		}
	}
}

// mediumRaw decodes K_MEDIUMRAW (kbd_keycode in drivers/tty/vt/keyboard.c): a byte is a key's code, with bit 7 set when it
// goes up; a code of more than 7 bits is three bytes, of which the first has code 0 and the others bit 7 set.
type mediumRaw struct {
	up   bool
	left int // bytes that are still to come
	code uint16
}

func (m *mediumRaw) byte(b byte) (code uint16, up, ok bool) {
	if m.left > 0 && b&0x80 == 0 {
		m.left = 0 // something was lost: this is a new key
	}
	switch {
	case m.left > 0:
		m.code = m.code<<7 | uint16(b&0x7f)
		m.left--
		return m.code, m.up, m.left == 0
	case b&0x7f == 0:
		*m = mediumRaw{up: b&0x80 != 0, left: 2}
		return 0, false, false
	}
	return uint16(b & 0x7f), b&0x80 != 0, true
}

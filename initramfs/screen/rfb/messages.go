package rfb

import (
	"encoding/binary"
	"time"
)

// pixelFormatMessage asks for the one format: 32 bits, little endian, true colour, 8 bits each of red at bit 16, green at 8,
// blue at 0 (RFC 6143, 7.4 and 7.5.1).
func pixelFormatMessage() []byte {
	return []byte{setPixelFormat, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0}
}

// encodingsMessage says what this client understands (RFC 6143, 7.5.2).
//
// Cursor is among it because QEMU draws the pointer of a card that has one of its own (virtio, qxl, vmware) nowhere else.
// LED state is, because a server that is not asked for it guesses from keysyms whether Caps Lock is on, and presses it.
// CopyRect is not: QEMU sends none since 2.10.
func encodingsMessage() []byte {
	encodings := []int32{
		encRaw, encDesktopSize, encExtendedSize, encCursor, encPointerChange, encExtendedKey, encLEDState,
	}
	m := []byte{setEncodings, 0}
	m = binary.BigEndian.AppendUint16(m, uint16(len(encodings)))
	for _, e := range encodings {
		m = binary.BigEndian.AppendUint32(m, uint32(e))
	}
	return m
}

// requestBytes is the size of a FramebufferUpdateRequest.
const requestBytes = 10

// request asks for the screen: what changes from now on (incremental), or all of it.
func (c *Client) request(incremental bool) {
	m := [requestBytes]byte{0: updateRequest}
	if incremental {
		m[1] = 1
	}
	binary.BigEndian.PutUint16(m[6:], uint16(c.width))
	binary.BigEndian.PutUint16(m[8:], uint16(c.height))
	c.out.ask(m)
}

// Key tells of a key. Down again without up in between is a key that repeats. scancode is that of set 1, with bit 7 set
// where the keyboard sends 0xe0 before it; keysym is X11's, for a server that takes no scan codes. It is false when a
// server that does not read has been sent too much: then the key is lost; what is released never is.
func (c *Client) Key(scancode uint8, keysym uint32, down bool) bool {
	var m []byte
	var flag byte
	if down {
		flag = 1
	}
	if c.extended.Load() {
		m = []byte{qemuMessage, qemuKey, 0, flag, 0, 0, 0, 0, 0, 0, 0, scancode}
		binary.BigEndian.PutUint32(m[4:], keysym)
	} else {
		if keysym == 0 {
			return true // no way to say it
		}
		m = []byte{keyEvent, flag, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint32(m[4:], keysym)
	}
	if !down {
		c.out.put(m)
		return true
	}
	return c.out.try(m)
}

// Buttons of a mouse, as bits (RFC 6143, 7.5.5). The wheel is two of them: pressed and released for each notch.
const (
	ButtonLeft   = 1 << 0
	ButtonMiddle = 1 << 1
	ButtonRight  = 1 << 2
	WheelUp      = 1 << 3
	WheelDown    = 1 << 4
)

// still is what stands for no motion in a message to a server whose mouse is moved, not put.
const still = 0x7fff

// Pointer tells of the mouse: the buttons that are down, and where it is (x, y, in the server's pixels) or how far it
// moved (dx, dy), of which the server's kind of mouse takes one. It is false when a server that does not read has been
// sent too much; then nothing was sent.
func (c *Client) Pointer(buttons uint8, x, y, dx, dy int) bool {
	if !c.absolute.Load() {
		x, y = still+dx, still+dy
	}
	m := [6]byte{0: pointerEvent, 1: buttons}
	binary.BigEndian.PutUint16(m[2:], clamp16(x))
	binary.BigEndian.PutUint16(m[4:], clamp16(y))
	return c.out.try(m[:])
}

// LetGo releases all buttons, whatever was lost before.
func (c *Client) LetGo(x, y int) {
	if !c.absolute.Load() {
		x, y = still, still
	}
	m := [6]byte{0: pointerEvent}
	binary.BigEndian.PutUint16(m[2:], clamp16(x))
	binary.BigEndian.PutUint16(m[4:], clamp16(y))
	c.out.put(m[:])
}

// NudgeTime is how often Nudge is of use.
const NudgeTime = 500 * time.Millisecond

// Nudge makes the server look at its guest's screen again soon. QEMU looks the less often the longer nothing changed there,
// at last every 3 s (VNC_REFRESH_INTERVAL_MAX in ui/vnc.c), so that the first line after a pause of 13 s came 1.2 s late;
// any message of a client's but a request starts that anew. This one is an empty ClientCutText (RFC 6143, 7.5.6), which
// tells nobody anything. It costs neither side anything that can be measured.
func (c *Client) Nudge() { c.out.idle([]byte{clientCutText, 0, 0, 0, 0, 0, 0, 0}) }

func clamp16(v int) uint16 { return uint16(max(0, min(v, 0xffff))) }

// Package rfb is the client's side of the remote frame buffer protocol (RFC 6143, version 3.8, security None), as far as
// the VNC server of a QEMU on the same machine needs it.
//
// In go a connection and a [Handler]; the handler gets the server's picture, rectangle by rectangle, and the server gets
// keys and mouse. Pixels have one format only, [BytesPerPixel] bytes in the order blue, green, red, unused: it is the one
// in which QEMU keeps its screen, so neither side converts anything (vnc_write_pixels_copy in QEMU's ui/vnc.c). Rectangles
// come raw, which on a unix socket is the cheapest there is.
//
// Beyond the RFC it speaks what QEMU's ui/vnc.c and the community's rfbproto.rst say of the pseudo-encodings DesktopSize,
// ExtendedDesktopSize, Cursor, QEMU Pointer Motion Change, QEMU Extended Key Event and LED state.
//
// Nothing is allocated for an update. What a server may say is bounded: see [MaxPixels].
package rfb

import (
	"errors"
	"fmt"
	"time"
)

// BytesPerPixel is the size of a pixel in everything a [Handler] gets.
const BytesPerPixel = 4

// Limits of a server's screen. QEMU's own are 5120x2160 (VNC_MAX_WIDTH, VNC_MAX_HEIGHT in ui/vnc.h).
const (
	// MaxSide is the greatest width and height, in pixels.
	MaxSide = 8192
	// MaxPixels is the greatest area: 64 MiB.
	MaxPixels = 16 << 20
	// MaxCursor is the greatest width and height of a pointer's picture.
	MaxCursor = 256
)

// HandshakeTime is how long a server may take from the first byte to the last of the handshake.
const HandshakeTime = 10 * time.Second

// ErrClosed is returned by [Client.Run] when the server closed the connection, even in the middle of a message: so it is
// when QEMU ends.
var ErrClosed = errors.New("the VNC server closed the connection")

// Handler gets what a server shows. Its methods are called by [Client.Run], one at a time; slices are valid during the
// call only.
type Handler interface {
	// Resize says how large the server's screen is, in pixels; it is called once before anything else. An error ends Run.
	Resize(width, height int) error
	// Pixels is a rectangle's new content, w*h*BytesPerPixel bytes row by row. It may reach over the screen's edge.
	Pixels(x, y, w, h int, pixels []byte)
	// Cursor is the picture of the guest's pointer, w*h pixels, of which those count whose bit in mask is set: rows of
	// (w+7)/8 bytes, most significant bit first. hotX, hotY is the point in it that points. Of no size, there is none.
	Cursor(hotX, hotY, w, h int, pixels, mask []byte)
	// Lights says which lights of the keyboard are on.
	Lights(l Lights)
	// Absolute says whether the guest's mouse is one that is put somewhere (a tablet), or one that is moved.
	Absolute(on bool)
}

// Lights are the lights of a keyboard, as in the pseudo-encoding LED state.
type Lights uint8

// The lights.
const (
	ScrollLock Lights = 1 << iota
	NumLock
	CapsLock
)

// Messages of the client (RFC 6143, 7.5; QEMU's are of rfbproto.rst, "QEMU Client Message").
const (
	setPixelFormat = 0
	setEncodings   = 2
	updateRequest  = 3
	keyEvent       = 4
	pointerEvent   = 5
	clientCutText  = 6
	qemuMessage    = 255
	qemuKey        = 0 // of qemuMessage
)

// Messages of the server (RFC 6143, 7.6).
const (
	framebufferUpdate   = 0
	setColourMapEntries = 1
	bell                = 2
	serverCutText       = 3
)

// Encodings (RFC 6143, 7.7 and 7.8; rfbproto.rst).
const (
	encRaw           int32 = 0
	encDesktopSize   int32 = -223
	encCursor        int32 = -239
	encPointerChange int32 = -257
	encExtendedKey   int32 = -258
	encLEDState      int32 = -261
	encExtendedSize  int32 = -308
)

// checkSize refuses a screen that no server has.
func checkSize(width, height int) error {
	if width > MaxSide || height > MaxSide || width*height > MaxPixels {
		return fmt.Errorf("the VNC server says its screen has %dx%d pixels; more than %d a side or %d in all is not shown: "+
			"give the guest a smaller screen", width, height, MaxSide, MaxPixels)
	}
	return nil
}

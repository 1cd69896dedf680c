package rfb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// Run hands the server's messages to the handler until the connection ends: ErrClosed when the server ended it,
// net.ErrClosed after Close, otherwise what the server said that can't be.
func (c *Client) Run(h Handler) error {
	c.handler = h
	if err := h.Resize(c.width, c.height); err != nil {
		return err
	}
	for {
		if err := c.message(); err != nil {
			return ended(err)
		}
	}
}

// ended tells the end of a server from an error.
func ended(err error) error {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return ErrClosed
		}
	}
	if errors.Is(err, net.ErrClosed) {
		return net.ErrClosed
	}
	return fmt.Errorf("read from the VNC server: %w", err)
}

// message reads one message (RFC 6143, 7.6).
func (c *Client) message() error {
	kind, err := c.in.ReadByte()
	if err != nil {
		return err
	}
	switch kind {
	case framebufferUpdate:
		return c.update()
	case setColourMapEntries:
		b, err := c.read(5)
		if err != nil {
			return err
		}
		return c.skip(6 * int64(binary.BigEndian.Uint16(b[3:])))
	case bell:
		return nil
	case serverCutText:
		b, err := c.read(7)
		if err != nil {
			return err
		}
		return c.skip(int64(binary.BigEndian.Uint32(b[3:])))
	}
	return fmt.Errorf("a message of the type %d, which this client did not ask for", kind)
}

// update reads a FramebufferUpdate (RFC 6143, 7.6.1).
func (c *Client) update() error {
	b, err := c.read(3)
	if err != nil {
		return err
	}
	// Asked for now, the next one is ready when this one is drawn. A server sends it only when something changes.
	c.request(true)
	for range binary.BigEndian.Uint16(b[1:]) {
		if err := c.rectangle(); err != nil {
			return err
		}
	}
	if c.resized {
		c.resized = false
		c.request(false)
	}
	return nil
}

// rectangle reads one rectangle of an update (RFC 6143, 7.7).
func (c *Client) rectangle() error {
	b, err := c.read(12)
	if err != nil {
		return err
	}
	x, y := int(binary.BigEndian.Uint16(b[0:])), int(binary.BigEndian.Uint16(b[2:]))
	w, h := int(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[6:]))
	switch encoding := int32(binary.BigEndian.Uint32(b[8:])); encoding {
	case encRaw:
		return c.raw(x, y, w, h)
	case encDesktopSize:
		return c.resize(w, h)
	case encExtendedSize:
		return c.extendedSize(y, w, h)
	case encCursor:
		return c.shape(x, y, w, h)
	case encPointerChange:
		c.absolute.Store(x != 0)
		c.handler.Absolute(x != 0)
		return nil
	case encExtendedKey:
		c.extended.Store(true)
		return nil
	case encLEDState:
		lights, err := c.in.ReadByte()
		if err != nil {
			return err
		}
		c.handler.Lights(Lights(lights))
		return nil
	default:
		return fmt.Errorf("a rectangle in the encoding %d, which this client did not ask for", encoding)
	}
}

// raw reads pixels and hands them on in bands.
func (c *Client) raw(x, y, w, h int) error {
	if w == 0 {
		return nil
	}
	row := w * BytesPerPixel
	most := len(c.band) / row
	for h > 0 {
		n := min(h, most)
		pixels := c.band[:n*row]
		if _, err := io.ReadFull(c.in, pixels); err != nil {
			return err
		}
		c.handler.Pixels(x, y, w, n, pixels)
		y, h = y+n, h-n
	}
	return nil
}

// resize changes the screen's size; the same again is nothing new.
func (c *Client) resize(w, h int) error {
	if w == c.width && h == c.height {
		return nil
	}
	if err := checkSize(w, h); err != nil {
		return err
	}
	c.width, c.height, c.resized = w, h, true
	return c.handler.Resize(w, h)
}

// extendedSize reads an ExtendedDesktopSize; status other than 0 is the answer to a wish that was refused.
func (c *Client) extendedSize(status, w, h int) error {
	b, err := c.read(4)
	if err != nil {
		return err
	}
	const screenBytes = 16
	if err := c.skip(screenBytes * int64(b[0])); err != nil || status != 0 {
		return err
	}
	return c.resize(w, h)
}

// shape reads a Cursor (RFC 6143, 7.8.1).
func (c *Client) shape(hotX, hotY, w, h int) error {
	if w > MaxCursor || h > MaxCursor {
		return fmt.Errorf("a pointer of %dx%d pixels; %d a side are the most", w, h, MaxCursor)
	}
	pixels, mask := w*h*BytesPerPixel, (w+7)/8*h
	if c.cursor == nil && pixels > 0 {
		c.cursor = make([]byte, MaxCursor*MaxCursor*BytesPerPixel)
		c.mask = make([]byte, MaxCursor*MaxCursor/8)
	}
	if _, err := io.ReadFull(c.in, c.cursor[:pixels]); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.in, c.mask[:mask]); err != nil {
		return err
	}
	c.handler.Cursor(hotX, hotY, w, h, c.cursor[:pixels], c.mask[:mask])
	return nil
}

// read reads n bytes, 16 at most; they are valid until the next read.
func (c *Client) read(n int) ([]byte, error) {
	_, err := io.ReadFull(c.in, c.small[:n])
	return c.small[:n], err
}

// skip reads n bytes and forgets them.
func (c *Client) skip(n int64) error {
	for n > 0 {
		part := int(min(n, int64(len(c.band))))
		if _, err := io.ReadFull(c.in, c.band[:part]); err != nil {
			return err
		}
		n -= int64(part)
	}
	return nil
}

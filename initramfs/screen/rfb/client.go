package rfb

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// bandBytes is how much of a rectangle is received before it is handed on: small enough for a processor's cache, and one
	// row of the widest rectangle that a message can name.
	bandBytes = 256 << 10
	// readBytes buffers the small parts of messages; large ones go by it.
	readBytes = 16 << 10
	// flushTime is how long the last messages may take when a client closes.
	flushTime = 300 * time.Millisecond
	// retryTime is between two tries to connect.
	retryTime = 50 * time.Millisecond
	// maxText bounds a server's reason for a refusal and its name, in bytes.
	maxText = 4 << 10
)

// Client is a connection with a server. [Client.Run] is for one goroutine; what sends is for any.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
	out  *sender
	// Name is the server's name for its screen.
	Name string

	// What Run knows; it alone uses these.
	width, height int
	handler       Handler
	resized       bool
	band          []byte
	small         [16]byte
	cursor, mask  []byte

	// extended is whether the server takes scan codes, which it says some time after the handshake.
	extended atomic.Bool
	absolute atomic.Bool
}

// Dial connects with the server on a unix socket. As long as there is none (QEMU makes its socket some time after its
// start) it tries again, until patience has passed.
func Dial(ctx context.Context, path string, patience time.Duration) (*Client, error) {
	deadline := time.Now().Add(patience)
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			return handshake(ctx, conn, path)
		}
		absent := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
		if !absent || !time.Now().Before(deadline) {
			return nil, fmt.Errorf("connect with the guest's screen at %s (is QEMU running, with -vnc unix:%s?): %w", path, path, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect with the guest's screen at %s: %w", path, context.Cause(ctx))
		case <-time.After(retryTime):
		}
	}
}

// handshake makes a client of a connection, which it closes on failure.
func handshake(ctx context.Context, conn net.Conn, name string) (*Client, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c, err := New(conn)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("speak with the VNC server at %s: %w", name, err)
	}
	return c, nil
}

// New begins a session on a connection: the handshake, and the first messages, which ask for a picture. The connection is
// the client's from then on; after an error it is still the caller's.
func New(conn net.Conn) (*Client, error) {
	c := &Client{conn: conn, in: bufio.NewReaderSize(conn, readBytes), band: make([]byte, bandBytes)}
	_ = conn.SetDeadline(time.Now().Add(HandshakeTime))
	if err := c.greet(); err != nil {
		return nil, err
	}
	if err := c.initialise(); err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	c.out = newSender(conn)
	c.out.put(pixelFormatMessage())
	c.out.put(encodingsMessage())
	c.request(false)
	return c, nil
}

// greet agrees on the version and on security None (RFC 6143, 7.1.1 to 7.1.3).
func (c *Client) greet() error {
	var version [12]byte
	if _, err := io.ReadFull(c.in, version[:]); err != nil {
		return fmt.Errorf("read its version: %w", err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(version[:]), "RFB %03d.%03d\n", &major, &minor); err != nil {
		return fmt.Errorf("it begins with %q, which is no VNC server's", version)
	}
	if major < 3 || major == 3 && minor < 8 {
		return fmt.Errorf("it speaks RFB %d.%d; 3.8 is needed, which QEMU has", major, minor)
	}
	if _, err := io.WriteString(c.conn, "RFB 003.008\n"); err != nil {
		return fmt.Errorf("answer its version: %w", err)
	}
	if err := c.chooseNone(); err != nil {
		return err
	}
	result, err := c.read32()
	if err != nil {
		return fmt.Errorf("read the result of the security handshake: %w", err)
	}
	if result != 0 {
		return c.refusal("it refuses the connection")
	}
	return nil
}

// chooseNone picks the security type None.
func (c *Client) chooseNone() error {
	n, err := c.in.ReadByte()
	if err != nil {
		return fmt.Errorf("read its security types: %w", err)
	}
	if n == 0 {
		return c.refusal("it ends the connection")
	}
	types := make([]byte, n)
	if _, err := io.ReadFull(c.in, types); err != nil {
		return fmt.Errorf("read its security types: %w", err)
	}
	const none = 1
	for _, t := range types {
		if t == none {
			_, err := c.conn.Write([]byte{none})
			return err
		}
	}
	return fmt.Errorf("it wants a password or encryption (security types %v), which on a unix socket is of no use: "+
		"start QEMU with -vnc unix:PATH and nothing else", types)
}

// refusal is the error for a reason that the server sends next.
func (c *Client) refusal(what string) error {
	reason, err := c.readText()
	if err != nil {
		return fmt.Errorf("%s and does not say why: %w", what, err)
	}
	return fmt.Errorf("%s: %q", what, reason)
}

// initialise shares the screen with other clients and learns its size (RFC 6143, 7.3).
func (c *Client) initialise() error {
	if _, err := c.conn.Write([]byte{1}); err != nil {
		return fmt.Errorf("ask for its screen: %w", err)
	}
	var b [4 + 16]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return fmt.Errorf("read the size of its screen: %w", err)
	}
	c.width, c.height = int(binary.BigEndian.Uint16(b[0:])), int(binary.BigEndian.Uint16(b[2:]))
	if err := checkSize(c.width, c.height); err != nil {
		return err
	}
	name, err := c.readText()
	if err != nil {
		return fmt.Errorf("read the name of its screen: %w", err)
	}
	c.Name = name
	return nil
}

// readText reads a text with its length before it.
func (c *Client) readText() (string, error) {
	n, err := c.read32()
	if err != nil {
		return "", err
	}
	if n > maxText {
		return "", fmt.Errorf("a text of %d bytes; %d are the most", n, maxText)
	}
	text := make([]byte, n)
	_, err = io.ReadFull(c.in, text)
	return string(text), err
}

// read32 reads a number of four bytes.
func (c *Client) read32() (uint32, error) {
	if _, err := io.ReadFull(c.in, c.small[:4]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(c.small[:4]), nil
}

// Close sends what is still to be sent, as far as the server takes it within a fraction of a second, and ends the
// connection, and so Run.
func (c *Client) Close() error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(flushTime))
	c.out.finish()
	return c.conn.Close()
}

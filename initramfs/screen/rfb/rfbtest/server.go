// Package rfbtest is a VNC server for tests: it says what a test tells it to, and hands it every byte a client sends.
package rfbtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long a test waits for bytes.
const patience = 10 * time.Second

// Server is the server's side of one connection.
type Server struct {
	t    testing.TB
	Conn net.Conn
}

// Listen makes a socket in a folder of the test's own and returns its path; accept waits for the client.
func Listen(t testing.TB) (path string, accept func() *Server) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "vnc")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return path, func() *Server {
		t.Helper()
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { conn.Close() })
		return &Server{t, conn}
	}
}

// Begin are the messages with which every session of ours begins: version, security, ClientInit, SetPixelFormat,
// SetEncodings.
var Begin = struct{ Version, None, Init, Format, Encodings []byte }{
	Version: []byte("RFB 003.008\n"),
	None:    []byte{1},
	Init:    []byte{1},
	Format:  []byte{0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0},
	Encodings: []byte{
		2, 0, 0, 7,
		0, 0, 0, 0, // Raw
		0xff, 0xff, 0xff, 0x21, // -223 DesktopSize
		0xff, 0xff, 0xfe, 0xcc, // -308 ExtendedDesktopSize
		0xff, 0xff, 0xff, 0x11, // -239 Cursor
		0xff, 0xff, 0xfe, 0xff, // -257 QEMU Pointer Motion Change
		0xff, 0xff, 0xfe, 0xfe, // -258 QEMU Extended Key Event
		0xff, 0xff, 0xfe, 0xfb, // -261 LED state
	},
}

// Serve begins a session: a screen of w to h pixels. The client's first messages are checked; the first request, for
// everything, is taken too.
func (s *Server) Serve(w, h int) {
	s.t.Helper()
	s.Send([]byte("RFB 003.008\n"))
	s.Expect("its version", Begin.Version)
	s.Send([]byte{2, 16, 1})
	s.Expect("the security type None", Begin.None)
	s.Send([]byte{0, 0, 0, 0})
	s.Expect("ClientInit", Begin.Init)
	s.Send(Init(w, h, "QEMU (test)"))
	s.Expect("SetPixelFormat", Begin.Format)
	s.Expect("SetEncodings", Begin.Encodings)
	s.Expect("a request for everything", Request(false, w, h))
}

// Init is ServerInit.
func Init(w, h int, name string) []byte {
	m := binary.BigEndian.AppendUint16(nil, uint16(w))
	m = binary.BigEndian.AppendUint16(m, uint16(h))
	m = append(m, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0)
	m = binary.BigEndian.AppendUint32(m, uint32(len(name)))
	return append(m, name...)
}

// Request is a FramebufferUpdateRequest.
func Request(incremental bool, w, h int) []byte {
	m := []byte{3, 0, 0, 0, 0, 0}
	if incremental {
		m[1] = 1
	}
	m = binary.BigEndian.AppendUint16(m, uint16(w))
	return binary.BigEndian.AppendUint16(m, uint16(h))
}

// Update is a FramebufferUpdate of rectangles.
func Update(rectangles ...[]byte) []byte {
	m := []byte{0, 0, 0, byte(len(rectangles))}
	return append(m, bytes.Join(rectangles, nil)...)
}

// Rectangle is one rectangle of an Update in any encoding.
func Rectangle(x, y, w, h int, encoding int32, data ...byte) []byte {
	var m []byte
	for _, v := range []int{x, y, w, h} {
		m = binary.BigEndian.AppendUint16(m, uint16(v))
	}
	return append(binary.BigEndian.AppendUint32(m, uint32(encoding)), data...)
}

// Send sends bytes.
func (s *Server) Send(message []byte) {
	s.t.Helper()
	_ = s.Conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := s.Conn.Write(message); err != nil {
		s.t.Errorf("send %d bytes to the client: %v", len(message), err)
	}
}

// Expect reads what must come next.
func (s *Server) Expect(what string, want []byte) {
	s.t.Helper()
	if got, err := s.read(len(want)); err != nil || !bytes.Equal(got, want) {
		s.t.Errorf("want %s\n    % x\ngot % x %v", what, want, got, err)
	}
}

// ExpectAfter reads what must come next, or after one that may come before it.
func (s *Server) ExpectAfter(what string, before, want []byte) {
	s.t.Helper()
	got, err := s.read(len(want))
	if err == nil && bytes.Equal(got, before) {
		got, err = s.read(len(want))
	}
	if err != nil || !bytes.Equal(got, want) {
		s.t.Errorf("want %s\n    % x\ngot % x %v", what, want, got, err)
	}
}

// nudge is what a client sends now and then.
var nudge = []byte{6, 0, 0, 0, 0, 0, 0, 0}

// read reads n bytes; a nudge before them is left out.
func (s *Server) read(n int) ([]byte, error) {
	_ = s.Conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, n)
	for {
		if m, err := io.ReadFull(s.Conn, b[:1]); err != nil {
			return b[:m], fmt.Errorf("nothing came: %w", err)
		}
		if b[0] != nudge[0] {
			break
		}
		if _, err := io.ReadFull(s.Conn, make([]byte, len(nudge)-1)); err != nil {
			return nil, err
		}
	}
	m, err := io.ReadFull(s.Conn, b[1:])
	return b[:1+m], err
}

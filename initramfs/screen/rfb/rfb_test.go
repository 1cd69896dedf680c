package rfb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/screen/rfb/rfbtest"
	"github.com/boottorrent/boottorrent/internal/need"
)

// recorder is a Handler that writes down what it gets.
type recorder struct{ said chan string }

func newRecorder() *recorder { return &recorder{make(chan string, 100)} }

func (r *recorder) note(format string, args ...any) { r.said <- fmt.Sprintf(format, args...) }
func (r *recorder) Resize(w, h int) error           { r.note("size %dx%d", w, h); return nil }
func (r *recorder) Pixels(x, y, w, h int, p []byte) { r.note("%dx%d at %d,%d: % x", w, h, x, y, p) }
func (r *recorder) Lights(l Lights)                 { r.note("lights %03b", l) }
func (r *recorder) Absolute(on bool)                { r.note("absolute %t", on) }
func (r *recorder) Cursor(hotX, hotY, w, h int, p, mask []byte) {
	r.note("cursor %dx%d points at %d,%d: % x, mask % x", w, h, hotX, hotY, p, mask)
}

// expect waits for what the handler is told next.
func (r *recorder) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-r.said:
		if got != want {
			t.Errorf("the handler was told %q, want %q", got, want)
		}
	case <-time.After(need.Patience):
		t.Fatalf("the handler was not told %q", want)
	}
}

// session is a client that runs against a server of ours.
func session(t *testing.T, w, h int) (*Client, *rfbtest.Server, *recorder, chan error) {
	t.Helper()
	path, accept := rfbtest.Listen(t)
	type dialled struct {
		client *Client
		err    error
	}
	ready := make(chan dialled, 1)
	go func() {
		c, err := Dial(context.Background(), path, 0)
		ready <- dialled{c, err}
	}()
	server := accept()
	server.Serve(w, h)
	d := <-ready
	if d.err != nil {
		t.Fatal(d.err)
	}
	t.Cleanup(func() { d.client.Close() })
	r := newRecorder()
	ended := make(chan error, 1)
	go func() { ended <- d.client.Run(r) }()
	r.expect(t, fmt.Sprintf("size %dx%d", w, h))
	return d.client, server, r, ended
}

func TestUpdates(t *testing.T) {
	c, s, r, ended := session(t, 4, 2)
	if c.Name != "QEMU (test)" {
		t.Errorf("the screen's name is %q", c.Name)
	}
	s.Send(rfbtest.Update(
		rfbtest.Rectangle(1, 0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8),
		rfbtest.Rectangle(3, 1, 0, 9, 0),
		rfbtest.Rectangle(2, 3, 3, 1, -239, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 0xa0),
		rfbtest.Rectangle(0, 0, 0, 0, -239),
		rfbtest.Rectangle(0, 0, 1, 1, -261, 5),
		rfbtest.Rectangle(1, 0, 4, 2, -257),
	))
	r.expect(t, "1x2 at 1,0: 01 02 03 04 05 06 07 08")
	r.expect(t, "cursor 3x1 points at 2,3: 01 01 01 01 02 02 02 02 03 03 03 03, mask a0")
	r.expect(t, "cursor 0x0 points at 0,0: , mask ")
	r.expect(t, "lights 101")
	r.expect(t, "absolute true")
	s.Expect("a request for what changes", rfbtest.Request(true, 4, 2))
	s.Send(append([]byte{2, 3, 0, 0, 0, 0, 0, 0, 3}, "cut"...))          // bell, cut text
	s.Send(append([]byte{1, 0, 0, 0, 0, 2}, make([]byte, 12)...))        // colour map
	s.Send(rfbtest.Update(rfbtest.Rectangle(0, 0, 1, 1, 0, 9, 9, 9, 9))) // still in step
	r.expect(t, "1x1 at 0,0: 09 09 09 09")
	s.Expect("a request for what changes", rfbtest.Request(true, 4, 2))
	s.Conn.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("Run ended with %v, want ErrClosed", err)
	}
}

func TestResize(t *testing.T) {
	_, s, r, _ := session(t, 4, 2)
	s.Send(rfbtest.Update(rfbtest.Rectangle(0, 0, 2, 1, -223)))
	r.expect(t, "size 2x1")
	s.ExpectAfter("a request for everything", rfbtest.Request(true, 4, 2), rfbtest.Request(false, 2, 1))
	screens := append([]byte{2, 0, 0, 0}, make([]byte, 32)...)
	s.Send(rfbtest.Update(rfbtest.Rectangle(0, 0, 3, 3, -308, screens...)))
	r.expect(t, "size 3x3")
	s.ExpectAfter("a request for everything", rfbtest.Request(true, 2, 1), rfbtest.Request(false, 3, 3))
	// The same size again, which QEMU sends after each request for everything, and a refusal: nothing new.
	s.Send(rfbtest.Update(rfbtest.Rectangle(0, 0, 3, 3, -308, screens...)))
	s.Expect("a request", rfbtest.Request(true, 3, 3))
	s.Send(rfbtest.Update(rfbtest.Rectangle(1, 1, 9, 9, -308, screens...)))
	s.Expect("a request", rfbtest.Request(true, 3, 3))
	s.Send(rfbtest.Update(rfbtest.Rectangle(0, 0, 1, 1, -261, 0)))
	r.expect(t, "lights 000")
}

// A rectangle is handed on in parts that a processor's cache holds, and that are whole rows.
func TestLargeRectanglesComeInBands(t *testing.T) {
	_, s, r, _ := session(t, 1024, 768)
	band := bytes.Repeat([]byte{1, 2, 3, 0}, 1024*64)
	rest := bytes.Repeat([]byte{4, 5, 6, 0}, 1024*2)
	go s.Send(rfbtest.Update(rfbtest.Rectangle(0, 5, 1024, 66, 0, append(band, rest...)...)))
	r.expect(t, fmt.Sprintf("1024x64 at 0,5: % x", band))
	r.expect(t, fmt.Sprintf("1024x2 at 0,69: % x", rest))
}

func TestKeysAndMouse(t *testing.T) {
	c, s, r, _ := session(t, 640, 480)
	c.Key(0x1e, 'a', true)
	s.Expect("a keysym, as long as the server did not say more", []byte{4, 1, 0, 0, 0, 0, 0, 'a'})
	c.Key(0x1e, 0, true) // a key with no keysym: nothing can be said
	c.Pointer(ButtonLeft, 10, 20, -1, 2)
	s.Expect("a relative motion", []byte{5, 1, 0x7f, 0xfe, 0x80, 0x01})
	s.Send(rfbtest.Update(rfbtest.Rectangle(0, 0, 640, 480, -258), rfbtest.Rectangle(1, 0, 640, 480, -257)))
	r.expect(t, "absolute true")
	s.Expect("a request", rfbtest.Request(true, 640, 480))
	c.Key(0x9c, 0xff8d, true)
	s.Expect("a scan code", []byte{255, 0, 0, 1, 0, 0, 0xff, 0x8d, 0, 0, 0, 0x9c})
	c.Key(0x9c, 0xff8d, false)
	s.Expect("its release", []byte{255, 0, 0, 0, 0, 0, 0xff, 0x8d, 0, 0, 0, 0x9c})
	c.Pointer(ButtonRight|WheelUp, 639, 300, 5, 5)
	s.Expect("a place", []byte{5, 0x0c, 2, 0x7f, 1, 0x2c})
	c.LetGo(-1, 70000)
	s.Expect("no buttons", []byte{5, 0, 0, 0, 0xff, 0xff})
	c.Nudge()
	s.Send(rfbtest.Update(rfbtest.Rectangle(0, 0, 640, 480, -257)))
	r.expect(t, "absolute false")
	s.Expect("a request (and before it a nudge)", rfbtest.Request(true, 640, 480))
	c.Key(1, 0, true)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	s.Expect("what was sent just before the end", []byte{255, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1})
}

// A guest that hangs reads nothing. Keys must not block then, nor eat the memory; what is down must come up.
func TestServerThatDoesNotRead(t *testing.T) {
	ours, theirs := net.Pipe() // without any buffer
	defer theirs.Close()
	c := &Client{conn: ours, out: newSender(ours)}
	accepted := 0
	for range 10000 {
		if c.Key(30, 'a', true) {
			accepted++
		}
		c.request(true)
		c.Nudge()
	}
	if accepted < 100 || accepted > 5000 {
		t.Errorf("%d keys were accepted; want a bounded number", accepted)
	}
	c.Key(30, 'a', false)
	go func() {
		data, _ := io.ReadAll(theirs)
		if !bytes.HasSuffix(data, append([]byte{4, 0, 0, 0, 0, 0, 0, 'a'}, rfbtest.Request(true, 0, 0)...)) {
			t.Errorf("the release and one request are not the last: % x", data[max(0, len(data)-40):])
		}
		theirs.Close()
	}()
	c.Close() // waits for nobody
}

func TestHandshakeRefused(t *testing.T) {
	version := []byte("RFB 003.008\n")
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	for _, test := range []struct {
		name   string
		server []byte
		want   string
	}{
		{"nothing", nil, "EOF"},
		{"not VNC", []byte("SSH-2.0-OpenSSH_9.2"), "no VNC server's"},
		{"old", []byte("RFB 003.003\n"), "RFB 3.3"},
		{"password", join(version, []byte{1, 2}), "password"},
		{"no type", join(version, []byte{0, 0, 0, 0, 4}, []byte("full")), `"full"`},
		{"refused", join(version, []byte{1, 1, 0, 0, 0, 1, 0, 0, 0, 2}, []byte("no")), `"no"`},
		{"long reason", join(version, []byte{0, 255, 255, 255, 255}), "4294967295"},
		{"cut", join(version, []byte{1, 1, 0, 0, 0, 0, 1}), "size of its screen"},
		{"absurd", join(version, []byte{1, 1, 0, 0, 0, 0}, rfbtest.Init(65535, 65535, "")), "65535x65535"},
		{"large", join(version, []byte{1, 1, 0, 0, 0, 0}, rfbtest.Init(8000, 8000, "")), "8000x8000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(&scripted{in: bytes.NewReader(test.server)})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got the error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestNonsenseEndsIt(t *testing.T) {
	for name, message := range map[string][]byte{
		"unknown message":  {77},
		"unknown encoding": rfbtest.Update(rfbtest.Rectangle(0, 0, 1, 1, 7)),
		"absurd size":      rfbtest.Update(rfbtest.Rectangle(0, 0, 60000, 60000, -223)),
		"absurd pointer":   rfbtest.Update(rfbtest.Rectangle(0, 0, 60000, 60000, -239)),
	} {
		t.Run(name, func(t *testing.T) {
			_, s, _, ended := session(t, 4, 2)
			s.Send(message)
			if err := <-ended; err == nil || errors.Is(err, ErrClosed) {
				t.Errorf("Run ended with %v", err)
			}
		})
	}
}

func TestTruncatedUpdateIsTheEnd(t *testing.T) {
	update := rfbtest.Update(rfbtest.Rectangle(0, 0, 4, 2, 0, make([]byte, 32)...))
	for n := 1; n < len(update); n += 5 {
		_, s, _, ended := session(t, 4, 2)
		s.Send(update[:n])
		s.Conn.Close()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("after %d bytes Run ended with %v", n, err)
		}
	}
}

func TestDialWaitsForTheSocket(t *testing.T) {
	begin := time.Now()
	_, err := Dial(context.Background(), t.TempDir()+"/none", 120*time.Millisecond)
	if err == nil || time.Since(begin) < 100*time.Millisecond {
		t.Errorf("Dial gave up after %v with %v", time.Since(begin), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dial(ctx, t.TempDir()+"/none", time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("a Dial that is not wanted any more: %v", err)
	}
}

// scripted is a connection whose other side says what is written beforehand and reads all.
type scripted struct {
	net.Conn // nil
	in       io.Reader
}

func (s *scripted) Read(p []byte) (int, error)      { return s.in.Read(p) }
func (s *scripted) Write(p []byte) (int, error)     { return len(p), nil }
func (s *scripted) Close() error                    { return nil }
func (s *scripted) SetDeadline(time.Time) error     { return nil }
func (s *scripted) SetReadDeadline(time.Time) error { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error {
	return nil
}

// strict is a Handler that checks what package rfb promises.
type strict struct {
	t    testing.TB
	w, h int
}

func (s *strict) Resize(w, h int) error {
	if w > MaxSide || h > MaxSide || w*h > MaxPixels {
		s.t.Errorf("a size of %dx%d", w, h)
	}
	s.w, s.h = w, h
	return nil
}

func (s *strict) Pixels(_, _, w, h int, p []byte) {
	if len(p) != w*h*BytesPerPixel || w == 0 || h == 0 {
		s.t.Errorf("%d bytes for %dx%d pixels", len(p), w, h)
	}
}

func (s *strict) Cursor(_, _, w, h int, p, mask []byte) {
	if len(p) != w*h*BytesPerPixel || len(mask) != (w+7)/8*h {
		s.t.Errorf("%d and %d bytes for a pointer of %dx%d pixels", len(p), len(mask), w, h)
	}
}

func (*strict) Lights(Lights) {}
func (*strict) Absolute(bool) {}

// serverBytes is a session's beginning.
func serverBytes(w, h int) []byte {
	return slices.Concat([]byte("RFB 003.008\n\x01\x01\x00\x00\x00\x00"), rfbtest.Init(w, h, "x"))
}

func FuzzServer(f *testing.F) {
	begin := serverBytes(4, 2)
	f.Add(begin)
	f.Add(slices.Concat(begin, rfbtest.Update(rfbtest.Rectangle(1, 0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8),
		rfbtest.Rectangle(0, 0, 3, 1, -239, make([]byte, 13)...), rfbtest.Rectangle(0, 0, 9, 9, -223),
		rfbtest.Rectangle(0, 0, 3, 3, -308, make([]byte, 20)...), rfbtest.Rectangle(0, 0, 1, 1, -261, 7),
		rfbtest.Rectangle(1, 0, 1, 1, -257), rfbtest.Rectangle(1, 0, 1, 1, -258)), []byte{2}))
	f.Add(slices.Concat(begin, []byte{3, 0, 0, 0, 0, 0, 0, 1, 'x', 1, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6}))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := New(&scripted{in: bytes.NewReader(data)})
		if err != nil {
			return
		}
		if err := c.Run(&strict{t: t}); err == nil {
			t.Error("Run ended without an error")
		}
		c.Close()
	})
}

// endless is a server that sends the same update for ever.
type endless struct {
	scripted
	update []byte
	at     int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.update[e.at:])
	e.at = (e.at + n) % len(e.update)
	return n, nil
}

func TestUpdatesAllocateNothing(t *testing.T) {
	update := rfbtest.Update(
		rfbtest.Rectangle(0, 0, 640, 480, 0, make([]byte, 640*480*4)...),
		rfbtest.Rectangle(0, 0, 16, 16, -239, make([]byte, 16*16*4+32)...),
		rfbtest.Rectangle(0, 0, 1, 1, -261, 7), rfbtest.Rectangle(0, 0, 640, 480, -308, binary.BigEndian.AppendUint64(nil, 0)[:4]...))
	c, err := New(&scripted{in: bytes.NewReader(serverBytes(640, 480))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.in.Reset(&endless{update: update})
	c.handler = &strict{t: t}
	if n := testing.AllocsPerRun(50, func() {
		if err := c.message(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("an update allocates %v times", n)
	}
}

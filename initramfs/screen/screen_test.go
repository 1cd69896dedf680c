package screen

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/screen/framebuffer"
	"github.com/boottorrent/boottorrent/initramfs/screen/rfb"
	"github.com/boottorrent/boottorrent/internal/need"
)

// front is a terminal that is always in front, and on which nobody types.
type front struct{}

func (front) Take(hide, show func()) error { return nil }
func (front) Front() bool                  { return true }
func (front) Activate(int) error           { return nil }
func (front) Keyboard() error              { return fmt.Errorf("there is none") }
func (front) Read([]byte) (int, error)     { return 0, io.EOF }
func (front) Close() error                 { return nil }

// The frame buffer of the test, a file: 1024 by 768 pixels of 32 bits.
const width, height = 1024, 768

func plain(int) (framebuffer.Info, error) {
	return framebuffer.Info{Width: width, Height: height, Stride: width * 4, BitsPerPixel: 32, Size: width * height * 4,
		Red: framebuffer.Channel{Offset: 16, Length: 8}, Green: framebuffer.Channel{Offset: 8, Length: 8}, Blue: framebuffer.Channel{Length: 8}}, nil
}

// monitor speaks QMP.
type monitor struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Scanner
}

func (m *monitor) do(command string, arguments map[string]any) {
	m.t.Helper()
	if arguments == nil {
		arguments = map[string]any{}
	}
	body, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if err == nil {
		_, err = m.conn.Write(body)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	for m.lines.Scan() {
		if bytes.Contains(m.lines.Bytes(), []byte(`"return"`)) {
			return
		}
		if bytes.Contains(m.lines.Bytes(), []byte(`"error"`)) {
			m.t.Fatalf("%s: %s", command, m.lines.Text())
		}
	}
	m.t.Fatalf("%s: QEMU is gone", command)
}

// picture returns the guest's picture as lines of red, green and blue bytes, and its size: a PPM file, as screendump writes it.
func (m *monitor) picture() (pixels []byte, w, h int) {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), "screen.ppm")
	m.do("screendump", map[string]any{"filename": path})
	body, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	var most int
	if _, err := fmt.Sscanf(string(body[:min(len(body), 64)]), "P6\n%d %d\n%d\n", &w, &h, &most); err != nil {
		m.t.Fatalf("%v in %.20q", err, body)
	}
	return body[len(body)-3*w*h:], w, h
}

// drawn returns the middle of the frame buffer, in the same form.
func drawn(t *testing.T, path string, w, h int) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var pixels []byte
	for y := range h {
		at := (((height-h)/2+y)*width + (width-w)/2) * 4
		for x := range w {
			p := body[at+4*x:]
			pixels = append(pixels, p[2], p[1], p[0])
		}
	}
	return pixels
}

// What is drawn is what QEMU says is its guest's picture, pixel for pixel; and a key that is passed on changes both.
func TestRealQEMU(t *testing.T) {
	qemu := need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	dir := t.TempDir()
	vnc, qmp, fb := filepath.Join(dir, "vnc"), filepath.Join(dir, "qmp"), filepath.Join(dir, "fb")
	if err := os.WriteFile(fb, make([]byte, width*height*4), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu, "-accel", "tcg", "-display", "none", "-vnc", "unix:"+vnc, "-qmp", "unix:"+qmp+",server=on,wait=off",
		"-net", "none", "-monitor", "none", "-serial", "none", "-boot", "menu=on,splash-time=65000", "-m", "64")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	client, err := rfb.Dial(ctx, vnc, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", qmp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	m := &monitor{t, conn, bufio.NewScanner(conn)}
	m.do("qmp_capabilities", nil)

	device, err := framebuffer.Open(fb, plain)
	if err != nil {
		t.Fatal(err)
	}
	v := newViewer(client, framebuffer.NewScreen(device), front{}, Options{Input: dir, Log: t.Logf})
	ended := make(chan End, 1)
	go func() {
		end, err := v.run(ctx)
		if err != nil {
			t.Error(err)
		}
		ended <- end
	}()

	// same waits until both are equal, and lit as a text is, and returns the picture.
	same := func(but []byte) []byte {
		t.Helper()
		for ctx.Err() == nil {
			want, w, h := m.picture()
			lit := len(want) - bytes.Count(want, []byte{0})
			if got := drawn(t, fb, w, h); lit > 3000 && !bytes.Equal(want, but) && bytes.Equal(got, want) {
				return want
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
		t.Fatal("what is drawn is not the guest's picture")
		return nil
	}
	first := same(nil)
	const escape = 1
	client.Key(escape, 0xff1b, true) // the BIOS shows its menu
	client.Key(escape, 0xff1b, false)
	same(first)
	m.do("quit", nil)
	if end := <-ended; end != Closed {
		t.Errorf("the viewer ended with %v, not because the guest did", end)
	}
	if err := v.close(); err != nil {
		t.Error(err)
	}
}

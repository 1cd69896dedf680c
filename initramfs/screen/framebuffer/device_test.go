package framebuffer

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"
)

// Layouts of frame buffers as drivers have them.
var (
	xrgb8888 = Info{BitsPerPixel: 32, Red: Channel{16, 8}, Green: Channel{8, 8}, Blue: Channel{0, 8}}
	xbgr8888 = Info{BitsPerPixel: 32, Red: Channel{0, 8}, Green: Channel{8, 8}, Blue: Channel{16, 8}}
	xrgb2101 = Info{BitsPerPixel: 32, Red: Channel{20, 10}, Green: Channel{10, 10}, Blue: Channel{0, 10}}
	rgb888   = Info{BitsPerPixel: 24, Red: Channel{16, 8}, Green: Channel{8, 8}, Blue: Channel{0, 8}}
	bgr888   = Info{BitsPerPixel: 24, Red: Channel{0, 8}, Green: Channel{8, 8}, Blue: Channel{16, 8}}
	rgb565   = Info{BitsPerPixel: 16, Red: Channel{11, 5}, Green: Channel{5, 6}, Blue: Channel{0, 5}}
	xrgb1555 = Info{BitsPerPixel: 16, Red: Channel{10, 5}, Green: Channel{5, 5}, Blue: Channel{0, 5}}
)

// sized is a layout with a size, and with lines that are longer than what shows.
func sized(i Info, w, h int) Info {
	i.Width, i.Height = w, h
	i.Stride = w*i.BitsPerPixel/8 + 20
	i.Size = i.Stride * h
	return i
}

// fake is a plain file that stands for a frame buffer.
type fake struct {
	t    testing.TB
	path string
	info Info
}

// filler is what the file has before anything is drawn.
const filler = 0xa5

func newFake(t testing.TB, info Info) *fake {
	t.Helper()
	f := &fake{t, filepath.Join(t.TempDir(), "fb"), info}
	if err := os.WriteFile(f.path, bytes.Repeat([]byte{filler}, info.Start+info.Size), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fake) query(int) (Info, error) { return f.info, nil }

// screen opens it and shows a picture of w to h on it.
func (f *fake) screen(w, h int) *Screen {
	f.t.Helper()
	d, err := Open(f.path, f.query)
	if err != nil {
		f.t.Fatal(err)
	}
	s := NewScreen(d)
	f.t.Cleanup(func() { s.Close() })
	s.Resize(w, h)
	if err := s.Show(); err != nil {
		f.t.Fatal(err)
	}
	return s
}

// image is what a person would see.
func (f *fake) image() *image.RGBA {
	f.t.Helper()
	data, err := os.ReadFile(f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	i := f.info
	img := image.NewRGBA(image.Rect(0, 0, i.Width, i.Height))
	for y := range i.Height {
		for x := range i.Width {
			at := i.Start + (i.Y+y)*i.Stride + (i.X+x)*i.BitsPerPixel/8
			var b [4]byte
			copy(b[:i.BitsPerPixel/8], data[at:])
			v := binary.LittleEndian.Uint32(b[:])
			channel := func(c Channel) uint8 {
				most := uint32(1)<<c.Length - 1
				if c.Length > 8 {
					return uint8(v >> c.Offset & most >> (c.Length - 8))
				}
				return uint8((v >> c.Offset & most) * 255 / most)
			}
			img.SetRGBA(x, y, color.RGBA{channel(i.Red), channel(i.Green), channel(i.Blue), 255})
		}
	}
	return img
}

func TestStructsAreTheKernels(t *testing.T) {
	// sizeof of both on 64-bit machines; FBIOGET_* write that much.
	if v, f := unsafe.Sizeof(varInfo{}), unsafe.Sizeof(fixInfo{}); v != 160 || f != 80 {
		t.Errorf("fb_var_screeninfo has %d bytes, fb_fix_screeninfo %d; want 160 and 80", v, f)
	}
	var f fixInfo
	if at := unsafe.Offsetof(f.lineLength); at != 48 {
		t.Errorf("line_length is at %d, want 48", at)
	}
}

func TestAskOfAPlainFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fb")
	if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Ask); err == nil || !strings.Contains(err.Error(), "is it a frame buffer?") {
		t.Errorf("got the error %v", err)
	}
	if _, err := Open(path+"0", Ask); err == nil || !strings.Contains(err.Error(), "driver") {
		t.Errorf("got the error %v", err)
	}
}

func TestUnusableDevices(t *testing.T) {
	good := sized(xrgb8888, 640, 480)
	for name, change := range map[string]func(*Info){
		"256 colours":    func(i *Info) { i.BitsPerPixel = 8 },
		"no size":        func(i *Info) { i.Width = 0 },
		"absurd size":    func(i *Info) { i.Height = 1 << 40 },
		"absurd offset":  func(i *Info) { i.Y = -1 },
		"short lines":    func(i *Info) { i.Stride = 639 * 4 },
		"little memory":  func(i *Info) { i.Size -= 21 },
		"panned out":     func(i *Info) { i.Y = 1 },
		"no red":         func(i *Info) { i.Red = Channel{} },
		"green too high": func(i *Info) { i.Green.Offset = 25 },
		"nothing at all": func(i *Info) { *i = Info{} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, good)
			change(&f.info)
			if d, err := Open(f.path, f.query); err == nil {
				d.Close()
				t.Error("it was opened")
			}
		})
	}
}

// What shows may begin anywhere in the memory, and move while another terminal is in front.
func TestPanning(t *testing.T) {
	info := sized(rgb565, 40, 30)
	info.Size *= 3
	info.Start, info.X, info.Y = 16, 3, 7
	f := newFake(t, info)
	s := f.screen(40, 30)
	put(s, pattern(40, 30))
	same(t, f.image(), rounded(pattern(40, 30), 5, 6, 5))
	s.Hide()
	f.info.X, f.info.Y = 0, 50
	put(s, inverted(pattern(40, 30)))
	if err := s.Show(); err != nil {
		t.Fatal(err)
	}
	same(t, f.image(), rounded(inverted(pattern(40, 30)), 5, 6, 5))
	f.info.X, f.info.Y = 3, 7
	same(t, f.image(), rounded(pattern(40, 30), 5, 6, 5)) // while hidden nothing was drawn
}

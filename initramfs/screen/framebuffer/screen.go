package framebuffer

import "sync"

// Screen shows a picture on a device. Its methods may be called from any goroutine; none waits for anything but the
// drawing of one rectangle.
type Screen struct {
	mu     sync.Mutex
	device *Device
	shown  bool

	// The picture: w*h pixels of four bytes.
	picture []byte
	w, h    int

	fit    Fit
	scale  *scaler // for Factor 0
	line   []byte  // a row of the screen, magnified
	pixels []byte  // a row of the picture, with the pointer in it

	pointer pointer
}

// NewScreen makes a screen that shows nothing yet: see Show. The device is the screen's from then on.
func NewScreen(d *Device) *Screen { return &Screen{device: d, fit: Fit{Factor: 1}} }

// Show draws everything, and from now on what changes.
func (s *Screen) Show() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.device.Refresh(); err != nil {
		return err
	}
	s.shown = true
	s.refit()
	s.repaint()
	return nil
}

// Hide ends drawing: the device belongs to somebody else. The picture is kept up to date all the same.
func (s *Screen) Hide() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = false
}

// Close blackens the device, if it is shown, so that nothing of the picture is left beside a console's text, and closes it.
func (s *Screen) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown {
		s.device.black(s.device.all())
		s.shown = false
	}
	return s.device.Close()
}

// Resize makes the picture a black one of w to h.
func (s *Screen) Resize(w, h int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := w * h * 4; n <= cap(s.picture) {
		s.picture = s.picture[:n]
		clear(s.picture)
	} else {
		s.picture = make([]byte, n)
	}
	s.w, s.h = w, h
	s.refit()
	if s.shown {
		s.repaint()
	}
}

// Put changes a rectangle of the picture and draws it; pixels has w*h of them. What reaches over the edge is left out.
func (s *Screen) Put(x, y, w, h int, pixels []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := rectangle{x, y, x + w, y + h}.and(rectangle{0, 0, s.w, s.h})
	if r.empty() {
		return
	}
	for row := r.y0; row < r.y1; row++ {
		from := ((row-y)*w + r.x0 - x) * 4
		copy(s.picture[(row*s.w+r.x0)*4:], pixels[from:from+r.width()*4])
	}
	s.draw(r)
}

// Guest is the picture's point at a point of the screen, which is given in shares of its size: 0 to 1.
func (s *Screen) Guest(x, y float64) (int, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.device.info
	return s.fit.Guest(int(x*float64(i.Width-1)), int(y*float64(i.Height-1)))
}

// Size is the picture's size.
func (s *Screen) Size() (w, h int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w, s.h
}

// refit places the picture on the device; s.mu is held.
func (s *Screen) refit() {
	fit := FitOn(s.device.info.Width, s.device.info.Height, s.w, s.h)
	if fit == s.fit && s.pixels != nil {
		return
	}
	s.fit, s.scale = fit, nil
	s.pixels = make([]byte, s.w*4)
	s.line = nil
	switch {
	case fit.Factor == 0:
		s.scale = newScaler(fit)
	case fit.Factor > 1:
		s.line = make([]byte, fit.W*4)
	}
}

// repaint draws all, the borders too; s.mu is held.
func (s *Screen) repaint() {
	all := s.device.all()
	f := s.fit
	s.device.black(rectangle{0, 0, all.x1, f.Y})
	s.device.black(rectangle{0, f.Y, f.X, f.Y + f.H})
	s.device.black(rectangle{f.X + f.W, f.Y, all.x1, f.Y + f.H})
	s.device.black(rectangle{0, f.Y + f.H, all.x1, all.y1})
	s.draw(rectangle{0, 0, s.w, s.h})
}

// all is everything that shows.
func (d *Device) all() rectangle { return rectangle{0, 0, d.info.Width, d.info.Height} }

// draw draws a part of the picture; s.mu is held.
func (s *Screen) draw(r rectangle) {
	if r = r.and(rectangle{0, 0, s.w, s.h}); r.empty() || !s.shown {
		return
	}
	switch {
	case s.fit.Factor == 1:
		s.drawPlain(r)
	case s.fit.Factor > 1:
		s.drawMagnified(r)
	default:
		s.drawScaled(s.fit.toScreen(r))
	}
}

func (s *Screen) drawPlain(r rectangle) {
	for y := r.y0; y < r.y1; y++ {
		s.device.pack(s.device.row(s.fit.X+r.x0, s.fit.Y+y, r.width()), s.row(r.x0, y, r.width()))
	}
}

func (s *Screen) drawMagnified(r rectangle) {
	to := s.fit.toScreen(r)
	line := s.line[:4*to.width()]
	for y := r.y0; y < r.y1; y++ {
		magnify(line, s.row(r.x0, y, r.width()), s.fit.Factor)
		for i := range s.fit.Factor {
			s.device.pack(s.device.row(s.fit.X+to.x0, s.fit.Y+y*s.fit.Factor+i, to.width()), line)
		}
	}
}

// magnify writes each pixel of src n times.
func magnify(dst, src []byte, n int) {
	for len(src) >= 4 {
		for range n {
			copy(dst[:4], src[:4])
			dst = dst[4:]
		}
		src = src[4:]
	}
}

// drawScaled draws a part of the screen.
func (s *Screen) drawScaled(r rectangle) {
	for y := r.y0; y < r.y1; y++ {
		s.device.pack(s.device.row(s.fit.X+r.x0, s.fit.Y+y, r.width()), s.scale.row(r.x0, r.x1, y, s.row))
	}
}

// row is n pixels of a row of the picture from x on, the pointer over them. It is valid until the next call.
func (s *Screen) row(x, y, n int) []byte {
	at := (y*s.w + x) * 4
	row := s.picture[at : at+n*4]
	if !s.pointer.touches(rectangle{x, y, x + n, y + 1}) {
		return row
	}
	over := s.pixels[:n*4]
	copy(over, row)
	s.pointer.over(over, x, y)
	return over
}

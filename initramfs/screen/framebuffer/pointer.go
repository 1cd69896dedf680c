package framebuffer

// pointer is the picture of a guest's mouse pointer, for graphics cards that have one of their own: QEMU leaves it to its
// viewers to draw it.
type pointer struct {
	pixels, mask []byte
	w, h         int
	hotX, hotY   int
	// x, y is where it points; shown is whether that is known.
	x, y  int
	shown bool
}

// place is what it covers.
func (p *pointer) place() rectangle {
	x, y := p.x-p.hotX, p.y-p.hotY
	return rectangle{x, y, x + p.w, y + p.h}
}

func (p *pointer) touches(r rectangle) bool { return p.shown && p.w > 0 && !p.place().and(r).empty() }

// over draws the pointer's part of a row that begins at x.
func (p *pointer) over(row []byte, x, y int) {
	at := p.place()
	part := at.and(rectangle{x, y, x + len(row)/4, y + 1})
	line := y - at.y0
	for i := part.x0; i < part.x1; i++ {
		column := i - at.x0
		if p.mask[line*((p.w+7)/8)+column/8]&(0x80>>(column%8)) != 0 {
			copy(row[(i-x)*4:][:4], p.pixels[(line*p.w+column)*4:])
		}
	}
}

// SetPointer changes the pointer's picture: w*h pixels, of which those show whose bit in mask is set, in rows of (w+7)/8
// bytes, most significant bit first.
func (s *Screen) SetPointer(hotX, hotY, w, h int, pixels, mask []byte) {
	s.change(func(p *pointer) {
		p.pixels, p.mask = append(p.pixels[:0], pixels...), append(p.mask[:0], mask...)
		p.hotX, p.hotY, p.w, p.h = hotX, hotY, w, h
	})
}

// MovePointer says where the pointer is, in the picture's pixels.
func (s *Screen) MovePointer(x, y int) { s.change(func(p *pointer) { p.x, p.y, p.shown = x, y, true }) }

// HidePointer draws none: where it is, is not known.
func (s *Screen) HidePointer() { s.change(func(p *pointer) { p.shown = false }) }

// change changes the pointer and draws where it was and where it is.
func (s *Screen) change(how func(*pointer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.pointer.visible()
	how(&s.pointer)
	after := s.pointer.visible()
	if before.empty() && after.empty() {
		return
	}
	s.draw(before)
	s.draw(after)
}

// visible is what it covers if it is shown.
func (p *pointer) visible() rectangle {
	if !p.shown {
		return rectangle{}
	}
	return p.place()
}

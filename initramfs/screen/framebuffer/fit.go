package framebuffer

// rectangle is a part of a picture: x0 to x1 and y0 to y1, the ends not included.
type rectangle struct{ x0, y0, x1, y1 int }

func (r rectangle) width() int  { return r.x1 - r.x0 }
func (r rectangle) empty() bool { return r.x0 >= r.x1 || r.y0 >= r.y1 }

// and is what two rectangles share.
func (r rectangle) and(s rectangle) rectangle {
	return rectangle{max(r.x0, s.x0), max(r.y0, s.y0), min(r.x1, s.x1), min(r.y1, s.y1)}
}

// Fit says how a picture is placed on a screen, in the middle of it:
//
//   - pixel for pixel, if it is not larger than the screen;
//   - each pixel as a square of 2x2, 3x3 …, as many as there is room for: a text screen of 720x400 would be a stamp on a
//     modern monitor, and whole factors leave text as crisp as it was, which others do not;
//   - scaled down to fit, with its proportions kept, if it is larger.
type Fit struct {
	// SrcW, SrcH is the size of the picture, X, Y the point of the screen at which it begins, W, H its size there.
	SrcW, SrcH, X, Y, W, H int
	// Factor is how many pixels a side one pixel becomes; 0 when the picture is scaled down.
	Factor int
}

// FitOn places a picture of w to h on a screen.
func FitOn(screenW, screenH, w, h int) Fit {
	f := Fit{SrcW: w, SrcH: h}
	switch {
	case w < 1 || h < 1:
		return Fit{Factor: 1}
	case w <= screenW && h <= screenH:
		f.Factor = min(screenW/w, screenH/h)
		f.W, f.H = w*f.Factor, h*f.Factor
	case w*screenH >= h*screenW: // it is wider than the screen
		f.W, f.H = screenW, max(1, (h*screenW+w/2)/w)
	default:
		f.W, f.H = max(1, (w*screenH+h/2)/h), screenH
	}
	f.X, f.Y = (screenW-f.W)/2, (screenH-f.H)/2
	return f
}

// toScreen is the part of the drawn picture (from 0, 0 to W, H) that a part of the picture changes.
func (f Fit) toScreen(r rectangle) rectangle {
	if f.Factor > 0 {
		return rectangle{r.x0 * f.Factor, r.y0 * f.Factor, r.x1 * f.Factor, r.y1 * f.Factor}
	}
	up := func(v, to, from int) int { return (v*to + from - 1) / from }
	return rectangle{r.x0 * f.W / f.SrcW, r.y0 * f.H / f.SrcH, up(r.x1, f.W, f.SrcW), up(r.y1, f.H, f.SrcH)}
}

// Guest is the picture's point that is at a point of the screen; beside the picture, the nearest one.
func (f Fit) Guest(x, y int) (int, int) {
	if f.W < 1 || f.H < 1 {
		return 0, 0
	}
	x, y = (x-f.X)*f.SrcW/f.W, (y-f.Y)*f.SrcH/f.H
	return max(0, min(x, f.SrcW-1)), max(0, min(y, f.SrcH-1))
}

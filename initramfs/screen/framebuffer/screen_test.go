package framebuffer

import (
	"flag"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden pictures")

// pattern is a picture of w to h: a frame of one pixel, strokes as of letters, a gradient.
func pattern(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{uint8(x * 255 / w), uint8(y * 255 / h), uint8((x + y) * 127 / (w + h)), 255}
			switch {
			case x == 0 || y == 0 || x == w-1 || y == h-1:
				c = color.RGBA{255, 255, 0, 255}
			case y/8%3 == 1 && (x*7+y*y*3)%5 < 2:
				c = color.RGBA{255, 255, 255, 255}
			case y/8%3 == 2 && (x/2+y/3)%4 == 0:
				c = color.RGBA{0, 0, 0, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func inverted(img *image.RGBA) *image.RGBA {
	out := image.NewRGBA(img.Rect)
	for i, v := range img.Pix {
		out.Pix[i] = 255 - v
		if i%4 == 3 {
			out.Pix[i] = 255
		}
	}
	return out
}

// rounded is a picture in fewer bits a colour.
func rounded(img *image.RGBA, bits ...uint) *image.RGBA {
	out := image.NewRGBA(img.Rect)
	copy(out.Pix, img.Pix)
	for i := range out.Pix {
		if i%4 < 3 {
			most := 1<<bits[i%4] - 1
			out.Pix[i] = uint8(int(out.Pix[i]) >> (8 - bits[i%4]) * 255 / most)
		}
	}
	return out
}

// pixels is a part of a picture as a server sends it.
func pixels(img *image.RGBA, r image.Rectangle) []byte {
	var b []byte
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := img.RGBAAt(x, y)
			b = append(b, c.B, c.G, c.R, 0)
		}
	}
	return b
}

func put(s *Screen, img *image.RGBA) { putPart(s, img, img.Rect) }

func putPart(s *Screen, img *image.RGBA, r image.Rectangle) {
	s.Put(r.Min.X, r.Min.Y, r.Dx(), r.Dy(), pixels(img, r))
}

// same compares two pictures.
func same(t *testing.T, got, want image.Image) {
	t.Helper()
	if got.Bounds() != want.Bounds() {
		t.Fatalf("the picture has %v, want %v", got.Bounds(), want.Bounds())
	}
	wrong := 0
	for y := range got.Bounds().Dy() {
		for x := range got.Bounds().Dx() {
			g, w := color.RGBAModel.Convert(got.At(x, y)), color.RGBAModel.Convert(want.At(x, y))
			if g != w {
				if wrong++; wrong < 4 {
					t.Errorf("at %d,%d is %v, want %v", x, y, g, w)
				}
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d pixels differ", wrong)
	}
}

// golden compares a picture with the one in testdata.
func golden(t *testing.T, got *image.RGBA) {
	t.Helper()
	path := filepath.Join("testdata", filepath.Base(t.Name())+".png")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(f, got); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatalf("%v (make it with -update)", err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}

func TestGolden(t *testing.T) {
	for _, test := range []struct {
		name   string
		device Info
		w, h   int
	}{
		{"whole-32", sized(xrgb8888, 96, 72), 96, 72},
		{"whole-24", sized(rgb888, 96, 72), 96, 72},
		{"whole-16", sized(rgb565, 96, 72), 96, 72},
		{"centred-32", sized(xrgb8888, 120, 90), 81, 60},
		{"centred-24", sized(bgr888, 120, 90), 81, 60},
		{"centred-16", sized(xrgb1555, 120, 90), 81, 60},
		{"twice-32", sized(xrgb8888, 165, 90), 80, 40},
		{"thrice-16", sized(rgb565, 130, 100), 40, 30},
		{"wide-32", sized(xrgb8888, 96, 72), 160, 90},
		{"high-16", sized(rgb565, 96, 72), 72, 100},
		{"just-too-large-24", sized(rgb888, 96, 72), 97, 72},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, test.device)
			put(f.screen(test.w, test.h), pattern(test.w, test.h))
			golden(t, f.image())
		})
	}
}

// Pixel for pixel means that.
func TestFormats(t *testing.T) {
	for _, test := range []struct {
		name   string
		layout Info
		bits   []uint
	}{
		{"xrgb8888", xrgb8888, []uint{8, 8, 8}},
		{"xbgr8888", xbgr8888, []uint{8, 8, 8}},
		{"xrgb2101010", xrgb2101, []uint{8, 8, 8}},
		{"rgb888", rgb888, []uint{8, 8, 8}},
		{"bgr888", bgr888, []uint{8, 8, 8}},
		{"rgb565", rgb565, []uint{5, 6, 5}},
		{"xrgb1555", xrgb1555, []uint{5, 5, 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, sized(test.layout, 50, 40))
			put(f.screen(50, 40), pattern(50, 40))
			same(t, f.image(), rounded(pattern(50, 40), test.bits...))
		})
	}
}

// Nothing is drawn beyond what shows: in lines' ends, before and after.
func TestBordersOfTheMemory(t *testing.T) {
	info := sized(rgb888, 31, 17)
	info.Start, info.Size = 5, info.Size+33
	f := newFake(t, info)
	put(f.screen(60, 60), pattern(60, 60))
	data, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range data {
		at := i - info.Start
		if at >= 0 && at < info.Stride*info.Height && at%info.Stride < 31*3 {
			continue
		}
		if b != filler {
			t.Fatalf("the byte %d was written", i)
		}
	}
}

func TestFitOn(t *testing.T) {
	for _, test := range []struct{ screenW, screenH, w, h, x, y, toW, toH, factor int }{
		{1024, 768, 1024, 768, 0, 0, 1024, 768, 1},
		{1024, 768, 720, 400, 152, 184, 720, 400, 1},
		{1280, 800, 720, 400, 280, 200, 720, 400, 1},
		{1920, 1080, 720, 400, 240, 140, 1440, 800, 2},
		{1920, 1080, 640, 480, 320, 60, 1280, 960, 2},
		{3840, 2160, 720, 400, 120, 80, 3600, 2000, 5},
		{1024, 768, 1920, 1080, 0, 96, 1024, 576, 0},
		{1024, 768, 800, 1200, 256, 0, 512, 768, 0},
		{1024, 768, 1025, 768, 0, 0, 1024, 767, 0},
		{1024, 768, 8000, 1, 0, 383, 1024, 1, 0},
		{1024, 768, 1, 8000, 511, 0, 1, 768, 0},
		{1024, 768, 0, 0, 0, 0, 0, 0, 1},
	} {
		want := Fit{test.w, test.h, test.x, test.y, test.toW, test.toH, test.factor}
		if got := FitOn(test.screenW, test.screenH, test.w, test.h); got != want {
			t.Errorf("%dx%d on %dx%d: got %+v, want %+v", test.w, test.h, test.screenW, test.screenH, got, want)
		}
	}
}

// Whatever changes piece by piece, and through whatever sizes, ends as if drawn at once.
func TestPiecesMakeTheWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, layout := range []Info{xrgb8888, rgb565} {
		f := newFake(t, sized(layout, 64, 48))
		s := f.screen(10, 10)
		for _, size := range [][2]int{{64, 48}, {30, 20}, {100, 60}, {20, 20}, {65, 300}, {0, 0}, {7, 7}} {
			w, h := size[0], size[1]
			s.Resize(w, h)
			img := pattern(w, h)
			for range 30 {
				x, y := random.IntN(w+1), random.IntN(h+1)
				r := image.Rect(x, y, x+random.IntN(w+1), y+random.IntN(h+1))
				putPart(s, img, r.Intersect(img.Rect))
				s.MovePointer(x, y) // of no size
			}
			put(s, img)
			whole := newFake(t, f.info)
			put(whole.screen(w, h), img)
			same(t, f.image(), whole.image())
		}
	}
}

func TestPutOverTheEdge(t *testing.T) {
	f := newFake(t, sized(xrgb8888, 20, 20))
	s := f.screen(20, 20)
	s.Put(10, 10, 40, 40, pixels(pattern(40, 40), image.Rect(0, 0, 40, 40)))
	s.Put(30, 30, 1, 1, make([]byte, 4))
	got := f.image()
	for y := range 20 {
		for x := range 20 {
			want := color.RGBA{0, 0, 0, 255}
			if x >= 10 && y >= 10 {
				want = pattern(40, 40).RGBAAt(x-10, y-10)
			}
			if got.RGBAAt(x, y) != want {
				t.Fatalf("at %d,%d is %v, want %v", x, y, got.RGBAAt(x, y), want)
			}
		}
	}
}

// The scaler agrees with the area's mean in floating point, but for the rounding of its weights.
func TestScalerIsAreaAverage(t *testing.T) {
	const w, h, toW, toH = 160, 90, 96, 54
	f := newFake(t, sized(xrgb8888, toW, toH))
	img := pattern(w, h)
	put(f.screen(w, h), img)
	got := f.image()
	for y := range toH {
		for x := range toW {
			want := areaMean(img, float64(x)*w/toW, float64(y)*h/toH, float64(x+1)*w/toW, float64(y+1)*h/toH)
			c := got.RGBAAt(x, y)
			for i, v := range []uint8{c.R, c.G, c.B} {
				if math.Abs(float64(v)-want[i]) > 6 {
					t.Fatalf("at %d,%d is %v, the mean is %v", x, y, c, want)
				}
			}
		}
	}
}

// areaMean is the mean colour of a part of a picture.
func areaMean(img *image.RGBA, x0, y0, x1, y1 float64) (sum [3]float64) {
	for y := int(y0); float64(y) < y1; y++ {
		for x := int(x0); float64(x) < x1; x++ {
			area := (min(x1, float64(x+1)) - max(x0, float64(x))) * (min(y1, float64(y+1)) - max(y0, float64(y)))
			c := img.RGBAAt(min(x, img.Rect.Dx()-1), min(y, img.Rect.Dy()-1))
			for i, v := range []uint8{c.R, c.G, c.B} {
				sum[i] += float64(v) * area / ((x1 - x0) * (y1 - y0))
			}
		}
	}
	return sum
}

// Weights are exact in sum, so an even colour stays what it is, at any scale.
func TestEvenColoursStay(t *testing.T) {
	for _, size := range [][2]int{{97, 72}, {100, 73}, {1920, 1080}, {4000, 30}} {
		f := newFake(t, sized(xrgb8888, 96, 72))
		img := image.NewRGBA(image.Rect(0, 0, size[0], size[1]))
		for i := range img.Pix {
			img.Pix[i] = 255
		}
		put(f.screen(size[0], size[1]), img)
		fit := FitOn(96, 72, size[0], size[1])
		got := f.image()
		for y := range fit.H {
			for x := range fit.W {
				if c := got.RGBAAt(fit.X+x, fit.Y+y); c != (color.RGBA{255, 255, 255, 255}) {
					t.Fatalf("%v: white is %v at %d,%d", size, c, x, y)
				}
			}
		}
	}
}

func TestPointer(t *testing.T) {
	for _, size := range [][2]int{{40, 30}, {20, 15}, {80, 60}} {
		f := newFake(t, sized(xrgb8888, 40, 30))
		w, h := size[0], size[1]
		s := f.screen(w, h)
		img := pattern(w, h)
		put(s, img)
		plain := f.image()
		shape := pixels(inverted(img), image.Rect(0, 0, 9, 3))
		s.SetPointer(4, 1, 9, 3, shape, []byte{0xff, 0x80, 0x80, 0x80, 0xff, 0x80})
		same(t, f.image(), plain) // where it is, is not known
		s.MovePointer(0, 0)
		s.MovePointer(w-1, h-1)
		s.MovePointer(10, 10)
		s.SetPointer(4, 1, 9, 3, shape, []byte{0xff, 0x80, 0x80, 0x80, 0xff, 0x80})
		want := image.NewRGBA(img.Rect)
		copy(want.Pix, img.Pix)
		for y := range 3 {
			for x := range 9 {
				if y != 1 || x == 0 || x == 8 {
					want.SetRGBA(10-4+x, 10-1+y, inverted(img).RGBAAt(x, y))
				}
			}
		}
		whole := newFake(t, f.info)
		put(whole.screen(w, h), want)
		same(t, f.image(), whole.image())
		put(s, img) // what is drawn below does not wipe it
		same(t, f.image(), whole.image())
		s.HidePointer()
		same(t, f.image(), plain)
	}
}

func TestGuestPoint(t *testing.T) {
	f := newFake(t, sized(xrgb8888, 100, 50))
	s := f.screen(200, 50) // drawn as 100x25, from line 12 on
	for _, test := range []struct {
		x, y         float64
		wantX, wantY int
	}{{0, 0, 0, 0}, {1, 1, 198, 49}, {0.5, 0.5, 98, 24}} {
		if x, y := s.Guest(test.x, test.y); x != test.wantX || y != test.wantY {
			t.Errorf("at %v,%v of the screen is the guest's %d,%d, want %d,%d", test.x, test.y, x, y, test.wantX, test.wantY)
		}
	}
	s.Resize(0, 0)
	if x, y := s.Guest(1, 1); x != 0 || y != 0 {
		t.Errorf("a guest without a screen has a point %d,%d", x, y)
	}
}

func TestCloseLeavesBlack(t *testing.T) {
	f := newFake(t, sized(rgb565, 30, 20))
	s := f.screen(30, 20)
	put(s, pattern(30, 20))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, f.image(), newBlack(30, 20))
	s.Put(0, 0, 1, 1, []byte{255, 255, 255, 255}) // late, but no harm
	s.MovePointer(1, 1)
	same(t, f.image(), newBlack(30, 20))
}

func newBlack(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := 3; i < len(img.Pix); i += 4 {
		img.Pix[i] = 255
	}
	return img
}

func TestDrawingAllocatesNothing(t *testing.T) {
	for _, size := range [][2]int{{64, 48}, {20, 20}, {128, 90}} {
		f := newFake(t, sized(rgb565, 64, 48))
		s := f.screen(size[0], size[1])
		data := pixels(pattern(size[0], size[1]), image.Rect(0, 0, size[0], size[1]))
		if n := testing.AllocsPerRun(20, func() { s.Put(0, 0, size[0], size[1], data) }); n > 0 {
			t.Errorf("drawing %v allocates %v times", size, n)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, bench := range []struct {
		name   string
		device Info
		w, h   int
	}{
		{"1024x768-32", sized(xrgb8888, 1024, 768), 1024, 768},
		{"1024x768-24", sized(rgb888, 1024, 768), 1024, 768},
		{"1024x768-16", sized(rgb565, 1024, 768), 1024, 768},
		{"1024x768-32-other-order", sized(xbgr8888, 1024, 768), 1024, 768},
		{"1920x1080-32", sized(xrgb8888, 1920, 1080), 1920, 1080},
		{"1920x1080-16", sized(rgb565, 1920, 1080), 1920, 1080},
		{"720x400-twice-on-1920x1080-32", sized(xrgb8888, 1920, 1080), 720, 400},
		{"1920x1080-down-to-1024x768-32", sized(xrgb8888, 1024, 768), 1920, 1080},
		{"1280x1024-down-to-1024x768-16", sized(rgb565, 1024, 768), 1280, 1024},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := newFake(b, bench.device).screen(bench.w, bench.h)
			band := make([]byte, bench.w*32*4)
			b.ReportAllocs()
			for b.Loop() {
				for y := 0; y < bench.h; y += 32 {
					s.Put(0, y, bench.w, 32, band)
				}
			}
		})
	}
}

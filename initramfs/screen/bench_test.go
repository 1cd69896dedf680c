package screen

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/screen/framebuffer"
	"github.com/boottorrent/boottorrent/initramfs/screen/rfb"
	"github.com/boottorrent/boottorrent/initramfs/screen/rfb/rfbtest"
)

// counting is a viewer that tells when so many pixels have been drawn.
type counting struct {
	*viewer
	every, left int
	drawn       chan struct{}
}

func (c *counting) Pixels(x, y, w, h int, pixels []byte) {
	c.viewer.Pixels(x, y, w, h, pixels)
	if c.left -= w * h; c.left == 0 {
		c.left = c.every
		c.drawn <- struct{}{}
	}
}

// BenchmarkFullScreen is one change of a guest's whole screen: from a VNC server on a unix socket, as QEMU's is, to the frame buffer, a
// file of 32 bits a pixel on a tmpfs if there is one. The last number is the milliseconds that it takes.
func BenchmarkFullScreen(b *testing.B) {
	for _, bench := range []struct{ w, h, width, height int }{
		{720, 400, 1024, 768}, {1024, 768, 1024, 768}, {1920, 1080, 1920, 1080}, {720, 400, 1920, 1080}, {1280, 1024, 1024, 768},
	} {
		b.Run(fmt.Sprintf("%dx%d-on-%dx%d", bench.w, bench.h, bench.width, bench.height), func(b *testing.B) {
			server, c := newBench(b, bench.w, bench.h, bench.width, bench.height)
			update := rfbtest.Update(rfbtest.Rectangle(0, 0, bench.w, bench.h, 0, make([]byte, bench.w*bench.h*rfb.BytesPerPixel)...))
			b.SetBytes(int64(len(update)))
			b.ReportAllocs()
			began := time.Now()
			for b.Loop() {
				server.Send(update)
				<-c.drawn
			}
			b.ReportMetric(float64(time.Since(began).Microseconds())/1000/float64(b.N), "ms/screen")
		})
	}
}

// newBench makes a viewer of a screen of w to h on a frame buffer of width to height.
func newBench(b *testing.B, w, h, width, height int) (*rfbtest.Server, *counting) {
	b.Helper()
	path, accept := rfbtest.Listen(b)
	accepted := make(chan *rfbtest.Server, 1)
	go func() {
		s := accept()
		s.Serve(w, h)
		accepted <- s
	}()
	client, err := rfb.Dial(b.Context(), path, time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	device, err := framebuffer.Open(benchBuffer(b, width*height*4), func(int) (framebuffer.Info, error) {
		info, err := plain(0)
		info.Width, info.Height, info.Stride, info.Size = width, height, width*4, width*height*4
		return info, err
	})
	if err != nil {
		b.Fatal(err)
	}
	v := newViewer(client, framebuffer.NewScreen(device), front{}, Options{})
	if err := v.screen.Show(); err != nil {
		b.Fatal(err)
	}
	server := <-accepted
	go func() { _, _ = io.Copy(io.Discard, server.Conn) }() // its requests
	c := &counting{viewer: v, every: w * h, left: w * h, drawn: make(chan struct{}, 1)}
	v.receiving = true
	go func() {
		v.received <- client.Run(c)
		close(v.received)
	}()
	b.Cleanup(func() {
		if err := v.close(); err != nil {
			b.Error(err)
		}
	})
	return server, c
}

// benchBuffer is a file of so many bytes, in memory as a frame buffer is.
func benchBuffer(b *testing.B, size int) string {
	b.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "screen")
	if err != nil {
		dir = b.TempDir()
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "fb")
	if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}

// Package framebuffer draws a guest's picture on a Linux frame buffer device (fbdev: /dev/fb0; linux/fb.h and
// Documentation/fb/api.rst of the kernel).
//
// In go rectangles of pixels as package rfb has them (blue, green, red, unused); out come the same on the part of the device
// that shows, fitted to its size (see [Fit]) and packed into its format: 16, 24 or 32 bits with the channels anywhere. The
// picture is kept, so that it can be drawn again after another virtual terminal was in front. Only what changed is drawn,
// and the device's memory is never read: on graphics cards that is slow.
package framebuffer

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Channel is where a colour is in a pixel: Length bits from bit Offset on.
type Channel struct{ Offset, Length uint }

// Info describes a frame buffer. Lengths are in pixels if nothing else is said.
type Info struct {
	Width, Height int
	// X, Y is the point of the memory that is shown at the top left.
	X, Y int
	// Stride is the length of a line of the memory, in bytes.
	Stride       int
	BitsPerPixel int
	Red          Channel
	Green        Channel
	Blue         Channel
	// Start is where the memory begins in its mapping, Size its length; both in bytes.
	Start, Size int
}

// check says what of a description can't be drawn on.
func (i Info) check() error {
	const most = 1 << 15 // a side; it also keeps what follows from overflowing
	switch {
	case i.Width < 1 || i.Height < 1 || i.Width > most || i.Height > most || i.X < 0 || i.Y < 0 || i.X > most || i.Y > most:
		return fmt.Errorf("its size of %dx%d pixels at %d,%d makes no sense", i.Width, i.Height, i.X, i.Y)
	case i.BitsPerPixel != 16 && i.BitsPerPixel != 24 && i.BitsPerPixel != 32:
		return fmt.Errorf("its pixels have %d bits; 16, 24 and 32 can be drawn: choose another video mode", i.BitsPerPixel)
	}
	for _, c := range []Channel{i.Red, i.Green, i.Blue} {
		if c.Length < 1 || c.Length > 16 || c.Offset+c.Length > uint(i.BitsPerPixel) {
			return fmt.Errorf("its colours (red %v, green %v, blue %v) make no sense in %d bits", i.Red, i.Green, i.Blue,
				i.BitsPerPixel)
		}
	}
	bytes := i.BitsPerPixel / 8
	if i.Stride < (i.X+i.Width)*bytes || i.end() > i.Size {
		return fmt.Errorf("its %d bytes, in lines of %d, don't hold %dx%d pixels at %d,%d", i.Size, i.Stride, i.Width, i.Height,
			i.X, i.Y)
	}
	return nil
}

// origin is where the first pixel that shows is in the memory, end where the last one ends; in bytes.
func (i Info) origin() int { return i.Y*i.Stride + i.X*i.BitsPerPixel/8 }
func (i Info) end() int    { return i.origin() + (i.Height-1)*i.Stride + i.Width*i.BitsPerPixel/8 }

// Query asks a device what it is; tests have another than [Ask].
type Query func(fd int) (Info, error)

// Device is an open frame buffer.
type Device struct {
	file   *os.File
	query  Query
	mapped []byte
	info   Info
	pack   packer
}

// Open opens a frame buffer, such as /dev/fb0, and maps its memory. query is Ask.
func Open(path string, query Query) (*Device, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the frame buffer (has the kernel a driver for this machine's graphics?): %w", err)
	}
	d := &Device{file: file, query: query}
	if err := d.Refresh(); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// Refresh asks the device again for its mode: another virtual terminal may have scrolled it, or changed it.
func (d *Device) Refresh() error {
	info, err := d.query(int(d.file.Fd()))
	if err != nil {
		return fmt.Errorf("ask %s for its video mode (is it a frame buffer?): %w", d.file.Name(), err)
	}
	if err := info.check(); err != nil {
		return fmt.Errorf("use the frame buffer %s: %w", d.file.Name(), err)
	}
	if d.mapped != nil && info == d.info {
		return nil
	}
	if d.mapped == nil || info.Start+info.Size != d.info.Start+d.info.Size {
		if err := d.remap(info.Start + info.Size); err != nil {
			return err
		}
	}
	d.info, d.pack = info, packerFor(info)
	return nil
}

// remap maps the device's memory.
func (d *Device) remap(size int) error {
	if err := d.unmap(); err != nil {
		return err
	}
	mapped, err := unix.Mmap(int(d.file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the %d bytes of the frame buffer %s: %w", size, d.file.Name(), err)
	}
	d.mapped = mapped
	return nil
}

func (d *Device) unmap() error {
	if d.mapped == nil {
		return nil
	}
	err := unix.Munmap(d.mapped)
	d.mapped, d.info = nil, Info{}
	if err != nil {
		return fmt.Errorf("unmap the frame buffer %s: %w", d.file.Name(), err)
	}
	return nil
}

// Close gives the device back. What was drawn stays.
func (d *Device) Close() error { return errors.Join(d.unmap(), d.file.Close()) }

// row is the memory of n pixels that show, from x, y on.
func (d *Device) row(x, y, n int) []byte {
	bytes := d.info.BitsPerPixel / 8
	at := d.info.Start + d.info.origin() + y*d.info.Stride + x*bytes
	return d.mapped[at : at+n*bytes]
}

// black clears a part of what shows.
func (d *Device) black(r rectangle) {
	for y := r.y0; y < r.y1; y++ {
		clear(d.row(r.x0, y, r.width()))
	}
}

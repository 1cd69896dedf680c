package framebuffer

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of linux/fb.h.
const (
	fbioGetVScreenInfo = 0x4600
	fbioGetFScreenInfo = 0x4602
)

// bitfield is struct fb_bitfield of linux/fb.h.
type bitfield struct{ offset, length, msbRight uint32 }

// varInfo is struct fb_var_screeninfo of linux/fb.h: 160 bytes.
type varInfo struct {
	xres, yres, xresVirtual, yresVirtual, xoffset, yoffset uint32
	bitsPerPixel, grayscale                                uint32
	red, green, blue, transp                               bitfield
	rest                                                   [20]uint32
}

// fixInfo is struct fb_fix_screeninfo of linux/fb.h.
type fixInfo struct {
	id                                  [16]byte
	smemStart                           uintptr
	smemLen                             uint32
	kind, typeAux, visual               uint32
	xpanstep, ypanstep, ywrapstep, pad0 uint16
	lineLength                          uint32
	mmioStart                           uintptr
	mmioLen, accel                      uint32
	capabilities                        uint16
	reserved                            [2]uint16
}

// Ask is the Query of a real device.
func Ask(fd int) (Info, error) {
	var v varInfo
	if err := ioctl(fd, fbioGetVScreenInfo, unsafe.Pointer(&v)); err != nil {
		return Info{}, fmt.Errorf("FBIOGET_VSCREENINFO: %w", err)
	}
	var f fixInfo
	if err := ioctl(fd, fbioGetFScreenInfo, unsafe.Pointer(&f)); err != nil {
		return Info{}, fmt.Errorf("FBIOGET_FSCREENINFO: %w", err)
	}
	// The kernel maps whole pages, from the one on in which the memory begins (fb_mmap).
	start := int(f.smemStart & uintptr(os.Getpagesize()-1))
	return Info{
		Width: int(v.xres), Height: int(v.yres), X: int(v.xoffset), Y: int(v.yoffset),
		Stride: int(f.lineLength), BitsPerPixel: int(v.bitsPerPixel),
		Red: channel(v.red), Green: channel(v.green), Blue: channel(v.blue),
		Start: start, Size: int(f.smemLen),
	}, nil
}

func channel(b bitfield) Channel { return Channel{Offset: uint(b.offset), Length: uint(b.length)} }

func ioctl(fd int, request uint, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

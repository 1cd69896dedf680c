// Package zimage reads kernels for arm64 in the compressed forms in which distributions install them. x86 kernels unpack themselves;
// of arm64 it is the boot loader that does it, and so whoever calls kexec.
//
// In goes a file, out comes the kernel in it (an Image, Linux, Documentation/arch/arm64/booting.rst). Two forms are known:
//
//   - vmlinuz of make Image.gz: the Image, compressed by gzip.
//   - EFI zboot (CONFIG_EFI_ZBOOT, drivers/firmware/efi/libstub/zboot-header.S): a PE program that says in its first 64 bytes where
//     in it the compressed Image is. Gzip and zstd are read; other compressions nobody ships.
package zimage

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// HeaderSize is how many bytes of a file [Known] needs.
const HeaderSize = 0x40

// MaxSize is how many bytes an unpacked kernel may have: those of distributions have up to 70 MiB.
const MaxSize = 256 << 20

// ErrNone is returned by Open for a file in neither form.
var ErrNone = errors.New("it is no compressed kernel")

// Offsets in the header of EFI zboot.
const (
	zbootMagicAt = 4    // "zimg", behind "MZ\0\0"
	offsetAt     = 8    // u32: where the payload begins
	sizeAt       = 12   // u32: how many bytes it has
	methodAt     = 0x18 // a text that ends with a zero: gzip, zstd …
)

// Known reports whether a file that begins with head is in one of the forms.
func Known(head []byte) bool {
	return bytes.HasPrefix(head, []byte("\x1f\x8b")) || isZboot(head)
}

func isZboot(head []byte) bool {
	return len(head) >= HeaderSize && string(head[:4]) == "MZ\x00\x00" && string(head[zbootMagicAt:zbootMagicAt+4]) == "zimg"
}

// Open returns a reader of the kernel in a compressed one of size bytes, which is to be closed; it fails after MaxSize bytes.
func Open(r io.ReaderAt, size int64) (io.ReadCloser, error) {
	head := make([]byte, HeaderSize)
	n, err := r.ReadAt(head, 0)
	if head = head[:n]; !Known(head) {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, ErrNone
	}
	method, offset := "gzip", int64(0)
	if isZboot(head) {
		offset = int64(binary.LittleEndian.Uint32(head[offsetAt:]))
		length := int64(binary.LittleEndian.Uint32(head[sizeAt:]))
		if offset > size || length > size-offset {
			return nil, fmt.Errorf("its header says that the kernel is in the %d bytes from %d on, but the file has %d", length, offset, size)
		}
		name, _, _ := bytes.Cut(head[methodAt:], []byte{0})
		method, size = string(name), offset+length
	}
	return open(method, io.NewSectionReader(r, offset, size-offset))
}

func open(method string, r io.Reader) (io.ReadCloser, error) {
	switch method {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		z.Multistream(false) // some builds append the size
		return &limited{Reader: z, left: MaxSize, close: func() { z.Close() }}, nil
	case "zstd", "zstd22":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(MaxSize))
		if err != nil {
			return nil, err
		}
		return &limited{Reader: z, left: MaxSize, close: z.Close}, nil
	}
	return nil, fmt.Errorf("it is compressed by %q, and only gzip and zstd can be unpacked", method)
}

// limited reads up to a limit.
type limited struct {
	io.Reader
	left  int64
	close func()
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("the kernel in it has more than %d MiB", MaxSize>>20)
	}
	return n, err
}

func (l *limited) Close() error {
	l.close()
	return nil
}

// Package initrd tells how an initrd begins and ends, and how several are joined so that the kernel finds all of them (Linux,
// init/initramfs.c, Documentation/driver-api/early-userspace/buffer-format.rst).
//
// The kernel skips zeros between archives, each of which may be compressed in another way, and wants those that are not
// to begin at a multiple of four. Its unpacker for lz4 (lib/decompress_unlz4.c) is an exception: lz4's legacy format has no
// end, so the unpacker reads on behind it. It goes on with another lz4 archive that follows at once; since Linux 5.14 it
// ends at four zeros as well. Anything else makes it fail, and what follows is lost without a word on the screen.
package initrd

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Ends are what matters of an initrd's beginning and end.
type Ends struct {
	// BeginsLZ4 and EndsLZ4 say that its first and its last archive are in lz4's legacy format.
	BeginsLZ4, EndsLZ4 bool
}

var (
	lz4Legacy = []byte{0x02, 0x21, 0x4c, 0x18}
	cpioMagic = []byte("07070")
)

// Read looks at an initrd of size bytes. Of what is neither cpio nor lz4 the end can't be known, and is taken to be that of the
// initrd. What can't be read is an error; what is not understood is not.
func Read(r io.ReaderAt, size int64) (e Ends, err error) {
	for at := int64(0); at < size; {
		head := make([]byte, 6)
		n, err := r.ReadAt(head, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return e, err
		}
		head = head[:n]
		switch {
		case bytes.HasPrefix(head, lz4Legacy):
			e.BeginsLZ4 = e.BeginsLZ4 || at == 0
			e.EndsLZ4 = true
			return e, nil // there is no telling where it ends
		case bytes.HasPrefix(head, cpioMagic):
			if at, err = skipCPIO(r, at, size); err != nil {
				return e, err
			}
		case len(head) > 0 && head[0] == 0:
			if at, err = skipZeros(r, at, size); err != nil {
				return e, err
			}
		default:
			return e, nil
		}
	}
	return e, nil
}

// skipCPIO returns the offset behind an archive in cpio's newc format (buffer-format.rst), or the size of an archive that is
// not whole.
func skipCPIO(r io.ReaderAt, at, size int64) (int64, error) {
	const header = 110
	for at+header <= size {
		h := make([]byte, header+11)
		n, err := r.ReadAt(h, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		file, err1 := strconv.ParseUint(string(h[54:62]), 16, 32)
		name, err2 := strconv.ParseUint(string(h[94:102]), 16, 32)
		if err1 != nil || err2 != nil || !bytes.HasPrefix(h, cpioMagic) {
			return size, nil
		}
		last := name == 11 && n == len(h) && string(h[header:header+10]) == "TRAILER!!!"
		at += (header + int64(name) + 3) &^ 3
		at += (int64(file) + 3) &^ 3
		if last {
			return at, nil
		}
	}
	return size, nil
}

func skipZeros(r io.ReaderAt, at, size int64) (int64, error) {
	block := make([]byte, 4096)
	for at < size {
		n, err := r.ReadAt(block, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		zeros := n - len(bytes.TrimLeft(block[:n], "\x00"))
		at += int64(zeros)
		if zeros < n || n == 0 {
			return at, nil
		}
	}
	return size, nil
}

// MaxPadding is the most that [Padding] returns.
const MaxPadding = 7

// Padding is how many zeros belong between the end of an initrd at offset n and the next one.
func Padding(n int64, before, next Ends) int64 {
	switch align := -n & 3; {
	case before.EndsLZ4 && next.BeginsLZ4:
		return 0
	case before.EndsLZ4:
		return align + 4
	default:
		return align
	}
}

// Lost reports whether a kernel before 5.14 does not find the second of two initrds, wherever it is put.
func Lost(before, next Ends) bool { return before.EndsLZ4 && !next.BeginsLZ4 }

// FrameFormat reports whether a file is compressed in lz4's usual format, which no kernel unpacks.
func FrameFormat(head []byte) bool {
	return len(head) >= 4 && binary.LittleEndian.Uint32(head) == 0x184d2204
}

// Seems reports whether a file is an initramfs, by its beginning (a cpio archive, compressed or not) or by its name.
func Seems(name string, head []byte) bool {
	base := strings.ToLower(path.Base(name))
	return bytes.HasPrefix(uncompressed(head), cpioMagic) || strings.HasPrefix(base, "init") || strings.HasPrefix(base, "uinit")
}

// uncompressed is the beginning of what head is compressed from by gzip or zstd; head itself if it is neither.
func uncompressed(head []byte) []byte {
	var r io.Reader = bytes.NewReader(head)
	if z, err := gzip.NewReader(bytes.NewReader(head)); err == nil {
		r = z
	} else if z, err := zstd.NewReader(bytes.NewReader(head), zstd.WithDecoderConcurrency(1)); err == nil && bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")) {
		defer z.Close()
		r = z
	}
	start := make([]byte, 512)
	n, _ := io.ReadFull(r, start) // head is cut off somewhere
	return start[:n]
}

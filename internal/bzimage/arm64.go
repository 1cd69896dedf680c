package bzimage

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Kernels for arm64 are an Image, which begins with a header of 64 bytes (Linux, Documentation/arch/arm64/booting.rst). It comes bare,
// compressed by gzip (Image.gz, a distribution's vmlinuz), or in a UEFI program that unpacks it (CONFIG_EFI_ZBOOT, vmlinuz.efi), whose
// header says where it is and by what it is compressed (drivers/firmware/efi/libstub/zboot-header.S).

// Offsets in the header of an Image.
const (
	imageSizeAt   = 16 // u64; 0 before Linux 3.17, which says it nowhere
	imageFlagsAt  = 24 // u64
	armMagicAt    = 0x38
	imageHeader   = 64
	imageBigOrder = 1 // in the flags: big-endian
)

// Offsets in the header of a zboot program.
const (
	zbootMagicAt  = 4 // "zimg", behind "MZ" and two zeros
	zbootOffsetAt = 8 // u32
	zbootSizeAt   = 12
	zbootMethodAt = 24   // a text with a zero at its end
	zbootPEAt     = 0x3c // u32: where "PE", two zeros, and the machine are
	machineARM64  = 0xaa64
	zbootHeader   = 0x40
)

// Payload is where an Image is in the file, compressed.
type Payload struct {
	// Method is what it is compressed by: gzip, zstd, or another name that Linux gives in a zboot program.
	Method string
	// Offset and Size are in bytes. A Size of 0 goes to the end of the file.
	Offset, Size int64
}

// maxImage is how large an unpacked Image may be, in bytes.
const maxImage = 1 << 30

// parseARM64 parses the header of a kernel for arm64.
func parseARM64(head []byte) (Header, bool) {
	if h, ok := parseImage(head); ok {
		return h, true
	}
	if len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b {
		return parseGzip(head)
	}
	if len(head) < zbootHeader || string(head[:2]) != "MZ" || string(head[zbootMagicAt:zbootMagicAt+4]) != "zimg" {
		return Header{}, false
	}
	u32 := binary.LittleEndian.Uint32
	pe := int64(u32(head[zbootPEAt:]))
	if pe+6 > int64(len(head)) || string(head[pe:pe+4]) != "PE\x00\x00" || binary.LittleEndian.Uint16(head[pe+4:]) != machineARM64 {
		return Header{}, false
	}
	method, _, _ := bytes.Cut(head[zbootMethodAt:armMagicAt], []byte{0})
	return Header{Arch: "arm64", MaxCmdline: commandLine - 1, Payload: &Payload{
		Method: zbootMethod(string(method)), Offset: int64(u32(head[zbootOffsetAt:])), Size: int64(u32(head[zbootSizeAt:])),
	}}, true
}

// zbootMethod is a method's own name: Linux says zstd22 or xzkern for settings of it.
func zbootMethod(name string) string {
	for _, method := range []string{"zstd", "xz"} {
		if strings.HasPrefix(name, method) {
			return method
		}
	}
	return name
}

func parseImage(head []byte) (Header, bool) {
	if len(head) < armMagicAt+4 || string(head[armMagicAt:armMagicAt+4]) != "ARM\x64" {
		return Header{}, false
	}
	h := Header{Arch: "arm64", MaxCmdline: commandLine - 1, bigEndian: binary.LittleEndian.Uint64(head[imageFlagsAt:])&imageBigOrder != 0}
	if size := binary.LittleEndian.Uint64(head[imageSizeAt:]); size <= math.MaxInt64 {
		h.InitSize = int64(size)
	}
	return h, true
}

// parseGzip unpacks as much as there is of what follows.
func parseGzip(head []byte) (Header, bool) {
	r, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return Header{}, false
	}
	unpacked := make([]byte, imageHeader)
	n, _ := io.ReadFull(r, unpacked) // the file goes on behind head
	h, ok := parseImage(unpacked[:n])
	h.Payload = &Payload{Method: "gzip"}
	return h, ok
}

// Unpack returns the kernel as the processor runs it: the file in r, of so many bytes, itself, or what is unpacked from it. The
// caller closes it.
func (h Header) Unpack(r io.ReaderAt, size int64) (io.ReadCloser, error) {
	if h.Payload == nil {
		return io.NopCloser(io.NewSectionReader(r, 0, size)), nil
	}
	at, length := h.Payload.Offset, h.Payload.Size
	if length == 0 {
		length = size - at
	}
	if at < 0 || length <= 0 || at+length > size {
		return nil, errors.New("the kernel is cut off")
	}
	packed := bufio.NewReaderSize(io.NewSectionReader(r, at, length), 1<<16)
	switch h.Payload.Method {
	case "gzip":
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, fmt.Errorf("unpack the kernel: %w", err)
		}
		z.Multistream(false) // zboot has its size behind it
		return z, nil
	case "zstd":
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxImage))
		if err != nil {
			return nil, fmt.Errorf("unpack the kernel: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return nil, unknownMethod(h.Payload.Method)
}

func unknownMethod(method string) error {
	return fmt.Errorf("it is compressed by %s, and nodes unpack kernels compressed by gzip or zstd", method)
}

// kexecARM64 is Kexec for arm64.
func (h Header) kexecARM64() error {
	switch {
	case h.bigEndian:
		return errors.New("it is a big-endian kernel, and nodes are little-endian")
	case h.Payload != nil && h.Payload.Method != "gzip" && h.Payload.Method != "zstd":
		return unknownMethod(h.Payload.Method)
	}
	return nil
}

// banner is what the text begins with that a kernel prints first (init/version.c): "Linux version 6.1.0-37-arm64 (".
const banner = "Linux version "

// releaseARM64 looks for the banner in the unpacked kernel.
func (h Header) releaseARM64(r io.ReaderAt) string {
	size := int64(math.MaxInt64)
	if h.Payload != nil && h.Payload.Size > 0 {
		size = h.Payload.Offset + h.Payload.Size
	}
	image, err := h.Unpack(r, size)
	if err != nil {
		return ""
	}
	defer image.Close()
	const most = 256 // of bytes from the banner to the release's end
	in := io.LimitReader(image, maxImage)
	buffer := make([]byte, 1<<20)
	kept := 0
	for {
		n, err := io.ReadFull(in, buffer[kept:])
		have := buffer[:kept+n]
		for from := 0; ; {
			at := bytes.Index(have[from:], []byte(banner))
			if at < 0 {
				break
			}
			from += at + len(banner)
			if err == nil && len(have)-from < most {
				break // the rest comes with what is read next
			}
			if release := releaseText(have[from:]); release != "" {
				return release
			}
		}
		if err != nil {
			return ""
		}
		kept = copy(buffer, have[len(have)-most-len(banner):])
	}
}

// releaseText is the release that a text begins with, as uname -r prints it; empty if there is none.
func releaseText(text []byte) string {
	release, _, found := strings.Cut(string(text[:min(len(text), 256)]), " ")
	if !found || release == "" || release[0] < '0' || release[0] > '9' || strings.ContainsAny(release, "\x00/%\n") {
		return ""
	}
	return release
}

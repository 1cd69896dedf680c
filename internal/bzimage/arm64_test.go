package bzimage

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// armImage is an Image (booting.rst) of a release, with more than one reading of its text in it.
func armImage(release string) []byte {
	b := make([]byte, 64)
	binary.LittleEndian.PutUint64(b[16:], 3<<20)
	copy(b[0x38:], "ARM\x64")
	b = append(b, bytes.Repeat([]byte("0123456789abcdef"), 1<<16)...) // the banner is cut by the end of what is read at once
	b = append(b[:1<<20-5], "Linux version "+release+" (someone@example.org) #1\x00 Linux version %s\x00"...)
	return append(b, make([]byte, 1000)...)
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t testing.TB, content []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(content, nil)
}

// zboot is a file as zboot-header.S makes it: the payload is followed by its unpacked size, and by what else is in the PE file.
func zboot(method string, payload []byte) []byte {
	const start, pe = 0x200, 0x80
	file := make([]byte, start)
	copy(file, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(file[8:], start)
	binary.LittleEndian.PutUint32(file[12:], uint32(len(payload)))
	copy(file[0x18:], method)
	binary.LittleEndian.PutUint32(file[0x3c:], pe)
	copy(file[pe:], "PE\x00\x00\x64\xaa")
	file = append(file, payload...)
	return append(file, "\x00\x00\x10\x00 the loader's code"...)
}

func TestCompressedARM64(t *testing.T) {
	const release = "6.12.1-arm64"
	image := armImage(release)
	for name, file := range map[string][]byte{
		"bare": image, "gzip": gzipped(t, image), "gzip with its size": append(gzipped(t, image), 0, 0, 1, 0),
		"zboot of gzip": zboot("gzip", gzipped(t, image)), "zboot of zstd": zboot("zstd", zstandard(t, image)), "zboot of zstd -22": zboot("zstd22", zstandard(t, image)),
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Parse(file[:HeaderSize])
			if err != nil || h.Arch != "arm64" || h.MaxCmdline != 2047 || h.Kexec() != nil || (h.Payload == nil) != (name == "bare") {
				t.Fatalf("%+v, %v, %v", h, err, h.Kexec())
			}
			if got := h.Release(bytes.NewReader(file)); got != release {
				t.Errorf("release %q, want %q", got, release)
			}
			r, err := h.Unpack(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, image) {
				t.Errorf("unpacked %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestUnusableARM64(t *testing.T) {
	big := armImage("6.1")
	big[24] = 1
	for name, c := range map[string]struct {
		file []byte
		want string // of Kexec's error, or of Unpack's
	}{
		"zboot of xz":            {zboot("xzkern", []byte("\xfd7zXZ\x00")), "compressed by xz, and nodes unpack"},
		"zboot that is cut":      {zboot("gzip", gzipped(t, armImage("6.1")))[:0x300], "cut off"},
		"a gzip that is cut":     {gzipped(t, armImage("6.1"))[:1000], "unexpected EOF"},
		"a big-endian kernel":    {big, "big-endian"},
		"gzip of it":             {gzipped(t, big), "big-endian"},
		"zboot of what is no gz": {zboot("gzip", bytes.Repeat([]byte("no gzip"), 100)), "invalid header"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Parse(c.file[:min(HeaderSize, len(c.file))])
			if err != nil {
				t.Fatal(err)
			}
			if err = h.Kexec(); err == nil {
				var r io.ReadCloser
				if r, err = h.Unpack(bytes.NewReader(c.file), int64(len(c.file))); err == nil {
					defer r.Close()
					_, err = io.Copy(io.Discard, r)
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// What is no kernel is none in any form.
func TestNoARM64(t *testing.T) {
	for name, file := range map[string][]byte{
		"gzip of a text": gzipped(t, bytes.Repeat([]byte("a text "), 1000)), "zboot for another machine": bytes.Replace(zboot("gzip", gzipped(t, armImage("6.1"))), []byte("PE\x00\x00\x64\xaa"), []byte("PE\x00\x00\x64\x86"), 1),
		"a header that ends": zboot("gzip", nil)[:0x20],
	} {
		if h, err := Parse(file[:min(HeaderSize, len(file))]); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func FuzzARM64(f *testing.F) {
	small := armImage("6.1")[:100]
	for _, method := range []string{"gzip", "zstd", "lz4"} {
		f.Add(zboot(method, gzipped(f, small)))
		f.Add(zboot(method, zstandard(f, small)))
	}
	f.Add(gzipped(f, small))
	f.Add(small)
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := Parse(file[:min(HeaderSize, len(file))])
		if err != nil || h.Arch != "arm64" {
			return
		}
		if len(h.Release(bytes.NewReader(file))) > 256 {
			t.Error("a release without an end")
		}
		r, err := h.Unpack(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		defer r.Close()
		_, _ = io.CopyN(io.Discard, r, 8<<20)
	})
}

package zimage

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

var image = append([]byte("MZ@\xfa an arm64 Image"), bytes.Repeat([]byte("0123456789abcdef"), 4000)...)

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
	const start = 0x200
	file := make([]byte, start)
	copy(file, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(file[8:], start)
	binary.LittleEndian.PutUint32(file[12:], uint32(len(payload)))
	copy(file[0x18:], method)
	file = append(file, payload...)
	return append(file, "\x00\x00\x10\x00 the loader's code"...)
}

func TestOpen(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want string // of the error; empty: the image
	}{
		"gzip":                {gzipped(t, image), ""},
		"gzip with its size":  {append(gzipped(t, image), 0, 0, 1, 0), ""},
		"zboot of gzip":       {zboot("gzip", gzipped(t, image)), ""},
		"zboot of zstd":       {zboot("zstd", zstandard(t, image)), ""},
		"zboot of zstd -22":   {zboot("zstd22", zstandard(t, image)), ""},
		"zboot of xz":         {zboot("xzkern", []byte("\xfd7zXZ\x00")), `compressed by "xzkern", and only gzip and zstd`},
		"zboot that is cut":   {zboot("gzip", gzipped(t, image))[:0x210], "but the file has 528"},
		"a gzip that is cut":  {gzipped(t, image)[:100], "unexpected EOF"},
		"an Image":            {image, ErrNone.Error()},
		"what is too short":   {[]byte("MZ"), ErrNone.Error()},
		"nothing":             {nil, ErrNone.Error()},
		"zboot without an MZ": {append([]byte("XX"), zboot("gzip", gzipped(t, image))[2:]...), ErrNone.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(c.file)
			switch {
			case c.want == "" && (err != nil || !bytes.Equal(got, image)):
				t.Errorf("got %d bytes, %v", len(got), err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
			if known := Known(c.file); known != !errors.Is(err, ErrNone) {
				t.Errorf("Known says %t, Open %v", known, err)
			}
		})
	}
}

func read(file []byte) ([]byte, error) {
	r, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// A file of a few KiB that unpacks to more than any kernel has does not fill the memory.
func TestLimit(t *testing.T) {
	r := &limited{Reader: zeros{}, left: 1000, close: func() {}}
	if n, err := io.Copy(io.Discard, r); err == nil || n > 1000 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return min(len(p), 100), nil }

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, os.ErrPermission }

func TestUnreadable(t *testing.T) {
	if _, err := Open(broken{}, 1000); !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, method := range []string{"gzip", "zstd", "lz4"} {
		f.Add(zboot(method, gzipped(f, image[:100])))
		f.Add(zboot(method, zstandard(f, image[:100])))
	}
	f.Add(gzipped(f, image[:100]))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := Open(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		defer r.Close()
		if n, _ := io.CopyN(io.Discard, r, 8<<20); n > MaxSize {
			t.Errorf("%d bytes", n)
		}
	})
}

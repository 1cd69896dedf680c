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

// image is an Image for arm64 of so many bytes whose banner is at a place. Before it stands what looks like one: a format of printf.
func image(release string, size, at int) []byte {
	b := make([]byte, size)
	copy(b, "MZ")
	binary.LittleEndian.PutUint64(b[16:], uint64(size)+4096)
	copy(b[56:], "ARM\x64")
	copy(b[at-64:], "Linux version %s (%s)\x00")
	copy(b[at:], "Linux version "+release+" (somebody@somewhere) #1 SMP\n")
	return b
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// zboot is a UEFI program for a machine with a payload, as Linux makes it: behind the payload is its size.
func zboot(machine uint16, method string, payload []byte) []byte {
	b := make([]byte, 0x200)
	copy(b, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(b[8:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[12:], uint32(len(payload)))
	copy(b[24:], method)
	binary.LittleEndian.PutUint32(b[0x38:], 0x818223cd)
	binary.LittleEndian.PutUint32(b[0x3c:], 0x40)
	copy(b[0x40:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x44:], machine)
	return append(append(b, payload...), 0x40, 0x42, 0x0f, 0)
}

func TestARM64(t *testing.T) {
	const release = "6.1.0-37-arm64"
	bare := image(release, 3<<20, 2<<20)
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	for name, file := range map[string][]byte{
		"bare":       bare,
		"gzip":       gzipped(t, bare),
		"zboot gzip": zboot(machineARM64, "gzip", gzipped(t, bare)),
		"zboot zstd": zboot(machineARM64, "zstd22", encoder.EncodeAll(bare, nil)),
		// The banner lies across two of the blocks in which the kernel is read.
		"across": image(release, 3<<20, 1<<20-7),
	} {
		h, err := Parse(file[:HeaderSize])
		if err != nil || h.Arch != "arm64" || h.MaxCmdline != 2047 || h.Kexec() != nil {
			t.Errorf("%s: %+v, %v, kexec: %v", name, h, err, h.Kexec())
			continue
		}
		if got := h.Release(bytes.NewReader(file)); got != release {
			t.Errorf("%s: release %q, want %q", name, got, release)
		}
		r, err := h.Unpack(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(r)
		if want := bare; name != "across" && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%s: unpacked it has %d bytes, %v; want %d", name, len(got), err, len(want))
		}
		r.Close()
	}
	h, err := Parse(gzipped(t, bare)[:HeaderSize])
	if err != nil || h.InitSize != 3<<20+4096 {
		t.Errorf("of a compressed one the size in memory is %d, %v", h.InitSize, err)
	}
}

func TestARM64Refused(t *testing.T) {
	bare := image("6.1", 1<<20, 1<<19)
	big := bytes.Clone(bare)
	big[24] = 1
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"big-endian":           {big, "big-endian"},
		"an unknown method":    {zboot(machineARM64, "lzma", bare), "compressed by lzma"},
		"another of xz's":      {zboot(machineARM64, "xzkern", bare), "compressed by xz,"},
		"an unknown machine":   {zboot(0x6264, "gzip", gzipped(t, bare)), ""},
		"gzip of another file": {gzipped(t, bytes.Repeat([]byte("text"), 1000)), ""},
		"damaged gzip":         {append([]byte("\x1f\x8b\x08"), make([]byte, 1000)...), ""},
	} {
		h, err := Parse(c.file[:min(len(c.file), HeaderSize)])
		if c.says == "" {
			if err == nil {
				t.Errorf("%s is a kernel: %+v", name, h)
			}
			continue
		}
		if err != nil || h.Kexec() == nil || !strings.Contains(h.Kexec().Error(), c.says) {
			t.Errorf("%s: %v, kexec %v, want %q", name, err, h.Kexec(), c.says)
		}
	}
	cut := zboot(machineARM64, "gzip", gzipped(t, bare))
	h, err := Parse(cut)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Unpack(bytes.NewReader(cut), 0x210); err == nil {
		t.Error("a kernel that is cut off is unpacked")
	}
	if got := h.Release(bytes.NewReader(cut[:0x210])); got != "" {
		t.Errorf("a kernel that is cut off has the release %q", got)
	}
}

// No bytes make Parse, Release or Unpack panic or go on for ever.
func FuzzARM64(f *testing.F) {
	bare := image("6.1.0", 4096, 2048)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(bare)
	_ = w.Close()
	f.Add(bare)
	f.Add(packed.Bytes())
	f.Add(zboot(machineARM64, "gzip", packed.Bytes()))
	f.Add(zboot(machineARM64, "zstd", bare))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Parse(b)
		if err != nil {
			return
		}
		if r := h.Release(bytes.NewReader(b)); strings.ContainsAny(r, "/\x00 ") {
			t.Errorf("release %q", r)
		}
		if image, err := h.Unpack(bytes.NewReader(b), int64(len(b))); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(image, 1<<20))
			image.Close()
		}
	})
}

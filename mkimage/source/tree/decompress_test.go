package tree

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/boottorrent/boottorrent/internal/need"
)

// compressors are programs that are not ours.
var compressors = []struct{ program, pkg string }{{"gzip", "gzip"}, {"xz", "xz-utils"}, {"zstd", "zstd"}, {"bzip2", "bzip2"}}

func compressed(t *testing.T, program, pkg string, b []byte) []byte {
	t.Helper()
	cmd := exec.Command(need.Command(t, program, pkg), "-c")
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDecompressed(t *testing.T) {
	content := strings.Repeat("words.", 20000)
	want := made(t, e{name: "a", content: content})
	for _, c := range compressors {
		b := compressed(t, c.program, c.pkg, want)
		if !Compressed(b[:32]) {
			t.Errorf("%s is not recognised", c.program)
		}
		tree, err := ReadLayers(t.Context(), []Layer{layer(b)}, Plain, Limits{}, nil)
		if err != nil {
			t.Errorf("%s: %v", c.program, err)
			continue
		}
		if got := listing(t, tree); got != "a="+content {
			t.Errorf("%s: %.50q", c.program, got)
		}
		for _, cut := range []int{len(b) / 2, len(b) - 3} {
			if _, err := ReadLayers(t.Context(), []Layer{layer(b[:cut])}, Plain, Limits{}, nil); err == nil || !strings.Contains(err.Error(), "cut off or damaged") {
				t.Errorf("%s, %d bytes of %d: %v", c.program, cut, len(b), err)
			}
		}
	}
	if Compressed([]byte("BZhello, world")) || Compressed(want[:32]) || Compressed(nil) {
		t.Error("what is not compressed is taken for compressed")
	}
}

// A stream that unpacks to far more than its size is refused while it is read, not after.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range ratioFrom/len(zeros) + 2 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Decompressed(t.Context(), &b)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err == nil || !strings.Contains(err.Error(), "decompression bombs") || n > ratioFrom+1<<26 {
		t.Errorf("%d bytes were read, and then: %v", n, err)
	}
}

package initrd

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

func cpio(t *testing.T, name string) []byte {
	t.Helper()
	cmd := exec.Command(need.Command(t, "cpio", "cpio"), "-o", "-H", "newc", "--quiet")
	cmd.Dir, cmd.Stdin = t.TempDir(), strings.NewReader(".\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cpio for %s: %v", name, err)
	}
	return out
}

func TestRead(t *testing.T) {
	archive := cpio(t, "a")
	lz4, gzip := append([]byte(nil), lz4Legacy...), []byte("\x1f\x8b\x08rest")
	for name, c := range map[string]struct {
		parts [][]byte
		want  Ends
	}{
		"nothing":                  {nil, Ends{}},
		"cpio":                     {[][]byte{archive}, Ends{}},
		"lz4":                      {[][]byte{lz4, []byte("blocks")}, Ends{true, true}},
		"microcode, then lz4":      {[][]byte{archive, make([]byte, 9000), lz4, []byte("x")}, Ends{false, true}},
		"two of microcode, gzip":   {[][]byte{archive, archive, gzip}, Ends{}},
		"gzip with lz4's mark":     {[][]byte{gzip, lz4}, Ends{}},
		"zeros before lz4":         {[][]byte{make([]byte, 4), lz4}, Ends{false, true}},
		"cpio that is cut off":     {[][]byte{archive[:130]}, Ends{}},
		"cpio with a wrong number": {[][]byte{[]byte("070701" + strings.Repeat("z", 200))}, Ends{}},
		"cpio with a giant in it":  {[][]byte{[]byte("070701" + strings.Repeat("f", 200)), lz4}, Ends{}},
	} {
		content := bytes.Join(c.parts, nil)
		got, err := Read(bytes.NewReader(content), int64(len(content)))
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

// Before 5.14 the kernel goes on behind lz4 only if lz4 follows at once, and since then also behind four zeros. It wants a cpio
// archive that is not compressed at a multiple of four.
func TestPadding(t *testing.T) {
	lz4, other := Ends{true, true}, Ends{}
	for _, c := range []struct {
		n            int64
		before, next Ends
		want         int64
		lost         bool
	}{
		{8, other, other, 0, false}, {9, other, other, 3, false}, {9, other, lz4, 3, false},
		{9, lz4, lz4, 0, false}, {8, lz4, other, 4, true}, {9, lz4, other, 7, true},
		{9, lz4, Ends{false, true}, 7, true}, {9, Ends{false, true}, lz4, 0, false},
	} {
		if got := Padding(c.n, c.before, c.next); got != c.want || got > MaxPadding || Lost(c.before, c.next) != c.lost {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("070701"))
	f.Add(append(make([]byte, 8), lz4Legacy...))
	f.Add([]byte("070701" + strings.Repeat("0", 200)))
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := Read(bytes.NewReader(content), int64(len(content))); err != nil {
			t.Error(err)
		}
	})
}

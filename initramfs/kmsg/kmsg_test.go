package kmsg

import (
	"slices"
	"strings"
	"testing"
)

// writes keeps each write apart, as /dev/kmsg does.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestPrint(t *testing.T) {
	var got writes
	l := &Log{&got}
	l.Print(Error, "one\ntwo\n")
	l.Print(Debug, strings.Repeat("x", 2000))
	want := writes{"<3>boottorrent: one\n", "<3>boottorrent: two\n", "<7>boottorrent: " + strings.Repeat("x", maxLine) + "\n"}
	if !slices.Equal(got, want) {
		t.Errorf("wrote %q, want %q", got, want)
	}
	(*Log)(nil).Print(Error, "nowhere to go")
}

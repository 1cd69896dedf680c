package console

import (
	"testing"
)

func TestComplete(t *testing.T) {
	for sequence, want := range map[string]bool{
		"a": true, "\r": true, "ä": true, "\xc3": false, "\xe2\x96": false, "\x1b": false, "\x1b[": false, "\x1b[A": true,
		"\x1b[5": false, "\x1b[5~": true, "\x1b[1;5": false, "\x1b[1;5C": true, "\x1b[[": false, "\x1b[[A": true, "\x1bO": false,
		"\x1bOP": true, "\x1bx": true, "\x1b\x1b": false, "\x1b\x1b[A": true, "\xff": true,
	} {
		if got := complete([]byte(sequence)); got != want {
			t.Errorf("complete(%q) = %v", sequence, got)
		}
	}
}

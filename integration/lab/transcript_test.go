package lab

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

type discard struct{ io.Writer }

func (discard) Close() error { return nil }

func TestExpect(t *testing.T) {
	tr := newTranscript("node n1", discard{io.Discard})
	go func() {
		for _, s := range []string{"boot\r\nm", "ac=52:54\r", "\nmac=52:55\n"} {
			if _, err := io.WriteString(tr, s); err != nil {
				t.Error(err)
			}
		}
	}()
	for _, want := range []string{"52:54", "52:55"} {
		match, err := tr.Expect(t.Context(), `mac=(\S+)\n`)
		if err != nil {
			t.Fatal(err)
		}
		if match[1] != want {
			t.Errorf("got %q, want %q: each Expect goes on where the last one stopped", match[1], want)
		}
	}
	if got, want := tr.Output(), "boot\nmac=52:54\nmac=52:55\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
}

func TestExpectSaysWhatItSaw(t *testing.T) {
	tr := newTranscript("node n1", discard{io.Discard})
	if _, err := io.WriteString(tr, "one\ntwo\nKernel panic\n"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := tr.Expect(ctx, `login:`)
	assertError(t, err, "node n1", "`login:`", "deadline exceeded", "\tKernel panic")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not wrap the context's error", err)
	}

	tr.end(errors.New("exit status 1"))
	_, err = tr.Expect(t.Context(), `login:`)
	assertError(t, err, "its output has ended", "exit status 1", "\tKernel panic")
	if _, err := tr.Expect(t.Context(), `panic`); err != nil {
		t.Errorf("what came before the end can still be matched: %v", err)
	}
	if _, err := tr.Expect(t.Context(), `(`); err == nil {
		t.Error("a bad pattern was accepted")
	}
}

func assertError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func TestStrip(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"colour":           {"\x1b[1;31mred\x1b[0m.", "red."},
		"reset":            {"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS", "SeaBIOS"},
		"title, BEL":       {"a\x1b]0;a title\x07b", "ab"},
		"colour query, ST": {"a\x1b]11;?\x1b\\b", "ab"},
		"charset":          {"a\x1b(Bb", "ab"},
		"keypad":           {"a\x1b=b\x1b>c", "abc"},
		"controls":         {"a\x00\x08\x7fb\tc\r\n", "ab\tc\n"},
		"UTF-8":            {"│ ▶ ü", "│ ▶ ü"},
	} {
		t.Run(name, func(t *testing.T) {
			var whole, bytewise stripper
			if got := string(whole.append(nil, []byte(c.in))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			var text []byte
			for i := range len(c.in) {
				text = bytewise.append(text, []byte{c.in[i]})
			}
			if got := string(text); got != c.want {
				t.Errorf("byte by byte: got %q, want %q", got, c.want)
			}
		})
	}
}

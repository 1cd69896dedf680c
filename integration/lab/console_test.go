package lab

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestScreen(t *testing.T) {
	var typed bytes.Buffer
	c := newConsole("node n1", discard{io.Discard}, &typed)
	write := func(s string) {
		t.Helper()
		for i := range len(s) { // a serial line cuts anywhere
			if _, err := c.Write([]byte{s[i]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("\x1b[2J\x1b[H┌─ one\r\n│ two\x1b[1;4Hsix")
	lines := strings.Split(c.Screen(), "\n")
	if lines[0] != "┌─ six" || lines[1] != "│ two" {
		t.Errorf("screen starts with %q", lines[:2])
	}
	if _, err := c.ExpectScreen(t.Context(), `(?m)^│ two$`); err != nil {
		t.Error(err)
	}

	write("\x1b[6n") // where is the cursor?
	if got, want := typed.String(), "\x1b[1;7R"; got != want {
		t.Errorf("the terminal answered %q, want %q", got, want)
	}
	typed.Reset()
	if err := c.Send("ls" + Down); err != nil {
		t.Fatal(err)
	}
	if got, want := typed.String(), "ls\x1b[B"; got != want {
		t.Errorf("typed %q, want %q", got, want)
	}
}

// Nothing is typed before what was typed is echoed.
func TestTypeLine(t *testing.T) {
	typed, keys := io.Pipe()
	c := newConsole("node n1", discard{io.Discard}, keys)
	done := make(chan error)
	go func() { done <- c.TypeLine(t.Context(), "a b") }()
	b := make([]byte, 8)
	for _, want := range []string{"a", " ", "b", "\r"} {
		n, err := typed.Read(b)
		if got := string(b[:n]); err != nil || got != want {
			t.Fatalf("typed %q, want %q: %v", got, want, err)
		}
		if _, err := io.WriteString(c, want); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAttach(t *testing.T) {
	var typed, seen bytes.Buffer
	c := newConsole("node n1", discard{io.Discard}, &typed)
	for _, step := range []func() error{
		func() error { _, err := io.WriteString(c, "before\r\n"); return err },
		func() error { _, err := c.Attach(&seen); return err },
		func() error { _, err := io.WriteString(c, "\x1b[6nafter"); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := seen.String(), "before\r\n\x1b[6nafter"; got != want {
		t.Errorf("attached terminal saw %q, want %q", got, want)
	}
	if typed.Len() > 0 {
		t.Errorf("two terminals answer: %q", &typed)
	}
}

func TestTerminalThatFails(t *testing.T) {
	c := newConsole("node n1", discard{io.Discard}, io.Discard)
	for range 3 {
		if _, err := io.WriteString(c, "\x1b[99999999999999999999;999r\x1b[-5;-3H\x1b[999999P\x1b[0;0r\x1bD\x1bM text\n"); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(c.Output(), "text") {
		t.Errorf("output %q lost the text", c.Output())
	}
}

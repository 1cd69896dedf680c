package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// sh runs the shell with an input and returns its status and all it wrote.
func sh(t *testing.T, terminal bool, input string, args ...string) (status int, output string) {
	t.Helper()
	in, typed, err := os.Pipe()
	if terminal { // which hands on one line at a time
		typed, in, err = pty.Open()
		input += "\x04"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer typed.Close()
	if _, err := typed.WriteString(input); err != nil { // both hold more than any test types
		t.Fatal(err)
	}
	if !terminal {
		typed.Close()
	}
	var out bytes.Buffer
	s := &shell{in: in, out: &out, err: &out, terminal: terminal}
	status = s.run(t.Context(), args)
	return status, out.String()
}

func TestInteractive(t *testing.T) {
	for _, c := range []struct {
		name, input string
		status      int
		want        []string // in this order
		never       string
	}{
		{"exit after a failure", "false\nexit\necho still here\n", 1, []string{"# "}, "still here"},
		{"exit with a status", "exit 3\n", 3, nil, ""},
		{"the end of the input", "false\n", 1, nil, "error"},
		{"a syntax error is survived", "echo )\necho after\nexit 0\n", 0, []string{"sh: ", "after"}, ""},
		{"a command that isn't there", "nosuch\necho after\n", 0, []string{"nosuch", "not found", "after"}, ""},
		{"over several lines", "if true\nthen echo yes\nfi\n", 0, []string{"> ", "yes"}, ""},
		{"the prompt names the folder", "cd /\n", 0, []string{"/ # "}, ""},
		{"the background goes on", "(sleep 0.1; echo behind) &\necho before\nwait\n", 0, []string{"before", "behind"}, ""},
		{"variables are kept", "a=b\necho $a$a\n", 0, []string{"bb"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, output := sh(t, true, c.input)
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			rest := output
			for _, w := range c.want {
				_, after, found := strings.Cut(rest, w)
				if !found {
					t.Fatalf("no %q (in that order) in:\n%s", w, output)
				}
				rest = after
			}
			if c.never != "" && strings.Contains(output, c.never) {
				t.Errorf("%q in:\n%s", c.never, output)
			}
		})
	}
}

func TestScripts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte("#!/bin/sh\necho \"got $1\"\nexit 4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		input  string
		status int
		want   string
	}{
		{"-c", []string{"-c", "echo one; false"}, "", 1, "one\n"},
		{"-c without", []string{"-c"}, "", 2, "sh: -c wants a command\n"},
		{"a file", []string{file, "this"}, "", 4, "got this\n"},
		{"standard input", nil, "echo a\necho b\n", 0, "a\nb\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, output := sh(t, false, c.input, c.args...); status != c.status || output != c.want {
				t.Errorf("status %d, output %q; want %d, %q", status, output, c.status, c.want)
			}
		})
	}
	if status, output := sh(t, false, "", "/no/such/script"); status != 127 || !strings.Contains(output, "/no/such/script") {
		t.Errorf("a file that isn't there: %d, %q", status, output)
	}
}

package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindGo(t *testing.T) {
	usual := filepath.Join(t.TempDir(), "go")
	t.Setenv("PATH", t.TempDir())
	if _, err := findGo(usual); err == nil || !strings.Contains(err.Error(), "https://go.dev/dl") {
		t.Errorf("without Go: error %v, want one that says where it is from", err)
	}
	writeFile(t, usual, "")
	if tool, err := findGo(usual); err != nil || tool != usual {
		t.Errorf("with Go where it usually is: %q, %v", tool, err)
	}
}

// A Go that is too old says so in words of its own, about go.mod; what is told is its version and the one that is wanted.
func TestCheckGo(t *testing.T) {
	bin, source := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin)
	writeFile(t, filepath.Join(source, "go.mod"), "module "+Module+"\n\ngo 1.26.0\n")
	fake := func(script string) {
		t.Helper()
		writeFile(t, filepath.Join(bin, "go"), "#!/bin/sh\n"+script)
		if err := os.Chmod(filepath.Join(bin, "go"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fake("[ $1 = version ] && echo go version go1.19.8 linux/amd64 && exit\necho 'go: errors parsing go.mod' >&2; exit 1\n")
	err := CheckGo(t.Context(), source)
	if err == nil || !strings.Contains(err.Error(), "is 1.19.8, and the node's commands need Go 1.26.0 or later") || !strings.Contains(err.Error(), "https://go.dev/dl") {
		t.Errorf("with Go 1.19: %v", err)
	}
	fake("[ $1 = version ] && echo go version go1.26.8 linux/amd64 && exit\necho 'no space left' >&2; exit 1\n")
	if err := CheckGo(t.Context(), source); err == nil || !strings.Contains(err.Error(), "no space left") || strings.Contains(err.Error(), "or later") {
		t.Errorf("with a new Go that fails: %v", err)
	}
	fake("echo '{\"GOVERSION\": \"go1.26.8\"}'\n")
	if err := CheckGo(t.Context(), source); err != nil {
		t.Errorf("with Go 1.26: %v", err)
	}
}

// What go build -v prints is counted by packages; the rest is what it complains of.
func TestCompiled(t *testing.T) {
	var told []int
	c := &compiled{told: func(n int) { told = append(told, n) }}
	for _, text := range []string{"internal/", "abi\ngithub.com/a/b-c.d\n", "# github.com/a/b-c.d\n./x.go:1:1: syntax error\n", "bb.u-root.com/bb\nlast"} {
		if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if len(told) != 3 || told[2] != 3 {
		t.Errorf("counted %v, want up to 3", told)
	}
	if got, want := c.complaints(), "# github.com/a/b-c.d\n./x.go:1:1: syntax error\nlast"; got != want {
		t.Errorf("it complains %q, want %q", got, want)
	}
}

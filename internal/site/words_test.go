package site

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// split is what a config.yaml with these binargs gives; nil if it has problems.
func split(t testing.TB, args string) []string {
	t.Helper()
	c := &checker{}
	m := parseDocument(c, "config.yaml", []byte("binargs: |\n  "+args+"\n"))
	if m == nil {
		return nil
	}
	words := m.words("binargs")
	if len(c.problems) > 0 {
		return nil
	}
	return words
}

// The shell is the referee: words without anything to expand are what it makes of them.
func TestWordsAreTheShells(t *testing.T) {
	shell := need.Command(t, "sh", "dash")
	for _, args := range []string{
		`a b c`, `  a   b `, `"a b" c`, `'a b' c`, `a\ b c`, `a"b c"d`, `"a\"b" 'a\b' "a\b"`, `'it'\''s'`, `"" ''`, `a'' ''b`,
		`-drive file=disk.img,format=raw`, `-append "root=/dev/sda quiet"`, `\\ \' \"`, `"a\\b"`, `a=b --c="d e"`,
	} {
		out, err := exec.Command(shell, "-c", `printf '%s\n' `+args).Output()
		if err != nil {
			t.Fatalf("sh: %s: %v", args, err)
		}
		want := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if got := split(t, args); !slices.Equal(got, want) {
			t.Errorf("%s: %q, the shell says %q", args, got, want)
		}
	}
	if got, want := split(t, `$HOME *.go ~ $(id)`), []string{"$HOME", "*.go", "~", "$(id)"}; !slices.Equal(got, want) {
		t.Errorf("expanded: %q, want %q", got, want)
	}
	for _, args := range []string{`'`, `"`, `a \`, `"a'`} {
		if got := split(t, args); got != nil {
			t.Errorf("%s: %q, want a problem", args, got)
		}
	}
}

// Programs of this machine, of kinds that are hard to make by hand.
func TestCheckProgram(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin/env": "needs the loader /lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/libm.so.6": "is a shared library",
	} {
		need.File(t, path, "coreutils, libc6")
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		write(t, dir+"/program", body)
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		c := &checker{}
		f := &folder{&Files{folder: root, from: map[string]string{}}, "x", "oss/x", map[string]bool{}}
		at := text{startOf("config.yaml"), "program"}
		file, ok := f.file(c, "bin", at)
		if !ok {
			t.Fatal(c.problems)
		}
		f.checkProgram(c, file, at, "amd64")
		if got := c.problems.Error(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

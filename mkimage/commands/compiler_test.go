package commands

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/u-root/gobusybox/src/pkg/golang"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// TestCompilerIsWhatCompiles: the go command gets just the flags that Compiler returns, and its environment. Whoever measures the node's
// program takes them from there.
func TestCompilerIsWhatCompiles(t *testing.T) {
	goroot, told := t.TempDir(), filepath.Join(t.TempDir(), "told")
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + told + "\n/usr/bin/env >>" + told + "\n"
	writeFile(t, filepath.Join(goroot, "bin/go"), script)
	if err := os.Chmod(filepath.Join(goroot, "bin/go"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, a := range []arch.Arch{arch.AMD64, arch.ARM64} {
		b := &busybox{ctx: t.Context(), arch: a, release: "v1"}
		env := golang.Default(golang.WithGOROOT(goroot), golang.WithGOARCH(string(a)))
		if err := b.compile(env, filepath.Join(t.TempDir(), "go"), t.TempDir(), "bb"); err != nil {
			t.Fatal(err)
		}
		out, err := os.ReadFile(told)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		flags, settings := Compiler(a, "v1")
		if want := slices.Concat([]string{"build", "-v", "-o", "bb"}, flags, []string{"."}); !slices.Equal(lines[:len(want)], want) {
			t.Errorf("%s: go was run with %q, want %q", a, lines[:len(want)], want)
		}
		for _, s := range settings {
			if !slices.Contains(lines, s) {
				t.Errorf("%s: %s is not in the compiler's environment", a, s)
			}
		}
	}
}

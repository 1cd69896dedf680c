package internal

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// inFolder runs a script of .ci in a folder with these files, and returns what it printed and whether it succeeded.
func inFolder(t *testing.T, files map[string]string, script string, args ...string) (string, bool) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path, err := filepath.Abs(filepath.Join("../.ci", script))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "GOFLAGS=", "GOWORK=off", "FUZZTIME=200x", "FUZZFLAGS=-parallel=1")
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// What make test and make check stand on: a stage that fails keeps no other from running, and the end says what failed.
func TestStagesGoOn(t *testing.T) {
	need.Command(t, "make", "make")
	makefile := "good:\n\t@echo ran good\nbad:\n\t@echo '--- FAIL: TestX (0.01s)'; echo '    --- FAIL: TestX/one (0.01s)'; echo 'a.go:1:2: odd'; exit 1\nlast:\n\t@echo ran last\n"
	out, ok := inFolder(t, map[string]string{"Makefile": makefile}, "stages", "bad", "good", "last")
	_, end, _ := strings.Cut(out, "\nfailed:\n")
	if want := "  bad\n    --- FAIL: TestX (0.01s)\n    --- FAIL: TestX/one (0.01s)\n    a.go:1:2: odd\n"; ok || end != want {
		t.Errorf("success %v, at the end\n%s\nwant\n%s", ok, end, want)
	}
	if !strings.Contains(out, "ran good") || !strings.Contains(out, "ran last") {
		t.Errorf("a stage was left out:\n%s", out)
	}
	if out, ok := inFolder(t, map[string]string{"Makefile": makefile}, "stages", "good", "last"); !ok || strings.Contains(out, "failed") {
		t.Errorf("without a failure:\n%s", out)
	}
}

// A fuzz target that fails keeps no other from running.
func TestFuzzGoesOn(t *testing.T) {
	files := map[string]string{"go.mod": "module example\n", "x_test.go": "package x\nimport \"testing\"\n" +
		"func FuzzBad(f *testing.F) { f.Add(\"a\"); f.Fuzz(func(t *testing.T, s string) { t.Error(\"bad\") }) }\n" +
		"func FuzzGood(f *testing.F) { f.Add(\"a\"); f.Fuzz(func(t *testing.T, s string) {}) }\n"}
	out, ok := inFolder(t, files, "fuzz")
	if ok || !strings.Contains(out, "== example FuzzGood") || !strings.HasSuffix(out, "\nfailed:\n  example FuzzBad\n") {
		t.Errorf("success %v:\n%s", ok, out)
	}
	files["x_test.go"] = strings.Replace(files["x_test.go"], `t.Error("bad")`, "", 1)
	if out, ok := inFolder(t, files, "fuzz"); !ok || strings.Contains(out, "failed") {
		t.Errorf("without a failure:\n%s", out)
	}
}

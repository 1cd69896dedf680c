package commands

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/program"
)

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFindSource(t *testing.T) {
	source, other := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(source, "go.mod"), "module "+Module+"\n\ngo 1.26.0\n")
	writeFile(t, filepath.Join(other, "go.mod"), "module example.org/other\n")
	deep := filepath.Join(source, "a/b")
	// A module of its own within ours, as internal/noutp is, is not the end of the search.
	writeFile(t, filepath.Join(deep, "go.mod"), "module example.org/inner\n")

	t.Run("above the working folder", func(t *testing.T) {
		t.Chdir(deep)
		got, err := FindSource("")
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, source)
	})
	t.Run("given", func(t *testing.T) {
		t.Chdir(other)
		got, err := FindSource(source)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, source)
	})
	t.Run("another module's", func(t *testing.T) {
		if _, err := FindSource(other); err == nil || !strings.Contains(err.Error(), "is not a checkout") {
			t.Errorf("error %v, want one that it is no checkout", err)
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		t.Chdir(other)
		if _, err := FindSource(""); err == nil || !strings.Contains(err.Error(), "--source DIR") {
			t.Errorf("error %v, want one with --source DIR", err)
		}
	})
}

func same(t *testing.T, a, b string) {
	t.Helper()
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	if errX != nil || errY != nil || !os.SameFile(x, y) {
		t.Errorf("%s and %s are not the same folder", a, b)
	}
}

// TestList plans the commands of this very checkout.
func TestList(t *testing.T) {
	p, err := List(context.Background(), "../..", "", arch.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"init", "boot", "gosh", "ls", "ip", "modprobe"} {
		if !slices.Contains(p.Names, name) {
			t.Errorf("the command %s is missing in %v", name, p.Names)
		}
	}
	if unique := slices.Compact(slices.Clone(p.Names)); len(unique) != len(p.Names) {
		t.Errorf("two commands have one name: %v", p.Names)
	}
	if !strings.HasPrefix(p.Versions["github.com/u-root/u-root"], "v") || !strings.HasPrefix(p.Go, "go1.") {
		t.Errorf("versions %v of %s", p.Versions, p.Go)
	}
	if strings.Contains(strings.Join(p.packages, " "), "mkimage") {
		t.Errorf("what is not below cmds/ is compiled: %v", p.packages)
	}
}

// TestListKeepsVersions: go mod tidy must find all that List takes from u-root.
func TestListKeepsVersions(t *testing.T) {
	b, err := os.ReadFile("tools.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range fromURoot {
		if !strings.Contains(string(b), `_ "`+p+`"`) {
			t.Errorf("tools.go does not import %s", p)
		}
	}
	if n := strings.Count(string(b), `_ "`); n != len(fromURoot) {
		t.Errorf("tools.go imports %d commands, %d are built", n, len(fromURoot))
	}
}

func TestListErrors(t *testing.T) {
	t.Run("does not compile", func(t *testing.T) {
		source := t.TempDir()
		writeFile(t, filepath.Join(source, "go.mod"), "module "+Module+"\n\ngo 1.26.0\n")
		writeFile(t, filepath.Join(source, "cmds/init/main.go"), "package main\n\nimport \"example.org/missing\"\n")
		if _, err := List(context.Background(), source, "", arch.AMD64); err == nil || !strings.Contains(err.Error(), "do not compile") {
			t.Errorf("error %v, want one that the commands do not compile", err)
		}
	})
}

// TestHash: what goes into the build goes into the key, and nothing else.
func TestHash(t *testing.T) {
	dir, modcache := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(dir, "main.go"), "package main")
	writeFile(t, filepath.Join(dir, "data.txt"), "embedded")
	writeFile(t, filepath.Join(dir, "main_test.go"), "package main")
	packages := []listed{
		{ImportPath: Module + "/cmds/init", Name: "main", Dir: dir, GoFiles: []string{"main.go"}, EmbedFiles: []string{"data.txt"}},
		{ImportPath: "example.org/x", Dir: filepath.Join(modcache, "example.org/x@v1.0.0")},
		{ImportPath: "fmt", Standard: true},
	}
	plan := Plan{Go: "go1.26.0", packages: []string{Module + "/cmds/init"}}
	key := func() string {
		t.Helper()
		k, err := plan.hash(packages, modcache)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	last := key()
	for _, step := range []struct {
		name    string
		do      func()
		changes bool
	}{
		{"nothing", func() {}, false},
		{"a test", func() { writeFile(t, filepath.Join(dir, "main_test.go"), "package main // new") }, false},
		{"a source file", func() { writeFile(t, filepath.Join(dir, "main.go"), "package main // new") }, true},
		{"an embedded file", func() { writeFile(t, filepath.Join(dir, "data.txt"), "new") }, true},
		{"a module's version", func() { packages[1].Dir = filepath.Join(modcache, "example.org/x@v1.0.1") }, true},
		{"Go's version", func() { plan.Go = "go1.26.1" }, true},
		{"the release", func() { plan.release = "v1" }, true},
	} {
		step.do()
		now := key()
		if (now != last) != step.changes {
			t.Errorf("%s: the key changes: %t, want %t", step.name, now != last, step.changes)
		}
		last = now
	}
}

func TestChoose(t *testing.T) {
	var p Plan
	p.choose([]listed{
		{ImportPath: Module + "/cmds/init", Name: "main"},
		{ImportPath: Module + "/cmds/ls", Name: "main"},
		{ImportPath: Module + "/initramfs/boot", Name: "boot"},
		{ImportPath: "github.com/u-root/u-root/cmds/core/ls", Name: "main"},
	})
	var ls []string
	for _, pkg := range p.packages {
		if path.Base(pkg) == "ls" {
			ls = append(ls, pkg)
		}
	}
	if want := []string{Module + "/cmds/ls"}; !slices.Equal(ls, want) {
		t.Errorf("ls is %v, want ours: %v", ls, want)
	}
}

// Checks and nodes know by this list which interpreters nodes have.
func TestCommandsAreThoseThatProgramKnows(t *testing.T) {
	entries, err := os.ReadDir("../../cmds")
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for _, e := range entries {
		if e.Name() != "internal" {
			own = append(own, e.Name())
		}
	}
	if want := append(own, names(fromURoot)...); !slices.Equal(slices.Sorted(slices.Values(program.Commands)), slices.Sorted(slices.Values(want))) {
		t.Errorf("program.Commands are %v, want %v", program.Commands, want)
	}
}

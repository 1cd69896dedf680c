package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/integration/bench/peer"
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/mkimage/commands"
)

// fakeGo is a go command that writes its arguments and its environment, and puts a file where the program should be.
const fakeGo = `#!/bin/sh
{ printf '%%s\n' "$@"; /usr/bin/env; } >"%s/$(basename "$3")"
: >"$3"
`

// TestBuildsAreWhatRuns: nodes are compiled with the very arguments that mkimage compiles with (its own test says that it does), the seeder
// with those of `make build`.
func TestBuildsAreWhatRuns(t *testing.T) {
	told := compileWithFakeGo(t, buildNode)
	flags, env := commands.Compiler(arch.Arch(runtime.GOARCH), "")
	node := told("node")
	if got := node[3:slices.Index(node, peerPackage)]; !slices.Equal(got, flags) {
		t.Errorf("nodes are compiled with %q, mkimage compiles with %q", got, flags)
	}
	for _, v := range env {
		if !slices.Contains(node, v) {
			t.Errorf("%s is not in the environment of the nodes' compiler", v)
		}
	}
	seeder := told("seeder")
	if got, want := seeder[3:slices.Index(seeder, peerPackage)], makeFlags(t); !slices.Equal(got, want) {
		t.Errorf("the seeder is compiled with %q, make build compiles with %q", got, want)
	}
	plain := compileWithFakeGo(t, buildPlain)
	if got := plain("node"); !slices.Equal(got[3:slices.Index(got, peerPackage)], makeFlags(t)) {
		t.Errorf("the plain build is %q", got)
	}
}

// compileWithFakeGo returns what the compiler of each program was told: arguments, then the environment.
func compileWithFakeGo(t *testing.T, name string) func(program string) []string {
	t.Helper()
	bin, told := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), fmt.Appendf(nil, fakeGo, told), 0o755); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", bin+":"+path)
	defer os.Setenv("PATH", path)
	if _, err := getBuilds(t.Context(), t.TempDir(), []string{name}); err != nil {
		t.Fatal(err)
	}
	return func(program string) []string {
		out, err := os.ReadFile(filepath.Join(told, program))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
}

// makeFlags are the flags of `make build` that decide how something is compiled; the release's name does not.
func makeFlags(t *testing.T) (flags []string) {
	t.Helper()
	need.Command(t, "make", "make")
	cmd := exec.Command("make", "--no-print-directory", "-n", "build")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, line, ok := strings.Cut(string(out), "go build ")
	line, _, okOut := strings.Cut(line, "-o bin/")
	if !ok || !okOut {
		t.Fatalf("make -n build prints %q, want go build FLAGS -o bin/ in it", out)
	}
	line, ldflags, _ := strings.Cut(line, "-ldflags ")
	if quoted := strings.Fields(strings.Trim(strings.TrimSpace(ldflags), "'")); len(quoted) != 2 || quoted[0] != "-X" {
		t.Errorf("make build's -ldflags are %q: want only the release", ldflags)
	}
	return strings.Fields(line)
}

// TestNodesRunAsInit: what init puts into the environment of a node's programs is in that of the benchmark's nodes.
func TestNodesRunAsInit(t *testing.T) {
	init, err := os.ReadFile("../../cmds/init/main.go")
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBuild(buildNode)
	if err != nil || !slices.Equal(b.Run, []string{"GOGC=" + swarm.NodeGC}) || !strings.Contains(string(init), `"GOGC": swarm.NodeGC`) {
		t.Errorf("nodes run with %q, %v; init's environment should have the same GOGC", b.Run, err)
	}
	for _, v := range []string{"GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"} {
		if strings.Contains(string(init), v) {
			t.Errorf("init sets %s: the benchmark's nodes must have it, too", v)
		}
	}
}

func TestGivenBuilds(t *testing.T) {
	dir := t.TempDir()
	for _, bad := range [][]string{{"no"}, {"node=" + dir}, {"a=" + dir}, {"a/b=" + dir}} {
		if _, err := getBuilds(t.Context(), dir, bad); err == nil {
			t.Errorf("--builds %v is accepted", bad)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, buildFile), []byte(`{"name":"node","flags":["-x"],"run":["GOGC=1"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	builds, err := getBuilds(t.Context(), dir, []string{"old=" + dir})
	if err != nil || len(builds) != 1 || builds[0].label(ours) != "boottorrent, old" || builds[0].Run[0] != "GOGC=1" || builds[0].node() != filepath.Join(dir, "node") {
		t.Errorf("got %+v, %v", builds, err)
	}
	if _, err := getBuilds(t.Context(), dir, []string{"old=" + dir, "old=" + dir}); err == nil {
		t.Error("two builds of one name are accepted")
	}
	builds = append(builds, build{Name: buildNode})
	all := withBuilds(engines(), builds)
	if len(all) != len(engines())+1 || all[1].(own).engine != ours || all[2].(own).engine != peer.Anacrolix {
		t.Errorf("engines and builds are %v", all)
	}
}

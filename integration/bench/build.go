package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/mkimage/commands"
)

// build is this project's peers, compiled in a certain way. The seeder is always compiled as `make build` does it.
type build struct {
	// Name is "node" for how nodes run it, "plain" for nodes compiled as the seeder is, or a name that the caller gave.
	Name string `json:"name"`
	// Flags are those of go build for the node's program, and Env is in the environment of the compiler.
	Flags []string `json:"flags"`
	Env   []string `json:"env"`
	// Run is in the environment of the nodes' programs.
	Run []string `json:"run"`

	// dir holds the programs.
	dir string
}

const (
	buildNode  = "node"
	buildPlain = "plain"
)

// buildFile describes a build in the folder with its programs.
const buildFile = "build.json"

// seederFlags are the flags with which `make build` compiles the seeder.
var seederFlags = []string{"-trimpath"}

// seederEnv lets no variable of the caller's change how a peer is compiled.
var seederEnv = []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local"}

// newBuild says how a build is compiled.
func newBuild(name string) (build, error) {
	b := build{Name: name, Flags: seederFlags, Env: seederEnv, Run: []string{"GOGC=" + swarm.NodeGC}}
	switch name {
	case buildNode:
		b.Flags, b.Env = commands.Compiler(arch.Arch(runtime.GOARCH), "")
	case buildPlain:
	default:
		return b, fmt.Errorf("unknown build %q: want %s, %s, or NAME=FOLDER with what bench build has put into FOLDER", name, buildNode, buildPlain)
	}
	return b, nil
}

// seeder and node are the paths of the programs.
func (b build) seeder() string { return filepath.Join(b.dir, "seeder") }
func (b build) node() string   { return filepath.Join(b.dir, "node") }

// label is how an engine in this build is called in tables.
func (b build) label(engine string) string {
	switch b.Name {
	case "", buildNode:
		return engine
	case buildPlain:
		return engine + ", inlined"
	}
	return engine + ", " + b.Name
}

// named is a name that may stand in a table and in a file's name.
var named = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// getBuilds compiles the builds of the given names, in folders below dir. NAME=FOLDER takes one that is compiled already.
func getBuilds(ctx context.Context, dir string, names []string) ([]build, error) {
	var all []build
	for _, name := range names {
		var b build
		var err error
		if as, folder, given := strings.Cut(name, "="); given {
			b, err = loadBuild(as, folder)
		} else if b, err = newBuild(name); err == nil {
			err = b.compile(ctx, filepath.Join(dir, name))
		}
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(other build) bool { return other.Name == b.Name }) {
			return nil, fmt.Errorf("the build %s is named twice", b.Name)
		}
		all = append(all, b)
	}
	return all, nil
}

// compile puts the programs, and what they are, into dir.
func (b *build) compile(ctx context.Context, dir string) error {
	source, err := commands.FindSource("")
	if err != nil {
		return err
	}
	if b.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := compilePeer(ctx, source, b.seeder(), seederFlags, seederEnv); err != nil {
		return err
	}
	if err := compilePeer(ctx, source, b.node(), b.Flags, b.Env); err != nil {
		return err
	}
	text, err := json.MarshalIndent(b, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, buildFile), append(text, '\n'), 0o644)
}

// peerPackage is the program of the peers.
const peerPackage = "./integration/bench/peer/cmd"

func compilePeer(ctx context.Context, source, out string, flags, env []string) error {
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", out}, flags, []string{peerPackage})...)
	cmd.Dir, cmd.Env = source, append(os.Environ(), env...)
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile the benchmark's peers (%s): %w\n%s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(said))
	}
	return nil
}

// loadBuild takes what compile put into a folder, perhaps in another checkout.
func loadBuild(name, dir string) (b build, err error) {
	if !named.MatchString(name) || name == buildNode || name == buildPlain {
		return b, fmt.Errorf("--builds %s=%s: want a name of letters and digits that is not %s or %s", name, dir, buildNode, buildPlain)
	}
	text, err := os.ReadFile(filepath.Join(dir, buildFile))
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		return b, fmt.Errorf("the build %s: %w; make it with: bench build %s", name, err, dir)
	}
	b.Name = name
	b.dir, err = filepath.Abs(dir)
	return b, err
}

// buildCommand is bench build: it compiles the peers, for later comparison with others.
func buildCommand(ctx context.Context, args []string) error {
	name := buildNode
	if len(args) == 2 {
		name, args = args[0], args[1:]
	}
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return errors.New("want: bench build [node|plain] FOLDER")
	}
	b, err := newBuild(name)
	if err != nil {
		return err
	}
	if err := b.compile(ctx, args[0]); err != nil {
		return err
	}
	fmt.Printf("compiled %s with %s; measure it with: --builds NAME=%s\n", b.node(), strings.Join(b.Flags, " "), args[0])
	return nil
}

package commands

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// Plan is what would be built.
type Plan struct {
	// Names are the commands' names, sorted.
	Names []string
	// Go is the version of the Go toolchain, e.g. "go1.26.1".
	Go string
	// Versions are the modules that are compiled in, by path, beside this one.
	Versions map[string]string
	// Key is a hash of everything that the result depends on.
	Key string

	arch                    arch.Arch
	source, goroot, release string
	// language is go.mod's go line, whose behaviour (GODEBUG) the commands get.
	language string
	packages []string
	// total is the number of packages that are compiled, all that are imported included.
	total int
}

// listed is what go list -json tells of a package.
type listed struct {
	ImportPath, Name, Dir string
	Standard              bool
	Module                *struct {
		Path, Version string
		Replace       *struct{ Version string }
	}
	Error *struct{ Err string }

	GoFiles, SFiles, HFiles, EmbedFiles, OtherFiles []string
}

// List plans the build of the commands in source, for nodes of an architecture. release is the version they shall say they are (internal/version); it
// may be empty.
func List(ctx context.Context, source, release string, a arch.Arch) (*Plan, error) {
	toolchain, err := goEnv(ctx, source)
	if err != nil {
		return nil, err
	}
	packages, err := goList(ctx, source, a, append([]string{own}, fromURoot...))
	if err != nil {
		return nil, err
	}
	p := &Plan{Go: toolchain["GOVERSION"], Versions: map[string]string{},
		arch: a, source: source, goroot: toolchain["GOROOT"], release: release}
	if p.language, err = language(source); err != nil {
		return nil, err
	}
	p.choose(packages)
	p.total = len(packages)
	if !slices.Contains(p.Names, "init") {
		return nil, fmt.Errorf("%s has no command init below cmds/, without which a node does nothing", source)
	}
	if !slices.ContainsFunc(packages, func(pkg listed) bool { return pkg.ImportPath == versionPackage }) {
		p.release = "" // nobody asks for it, so it need not be compiled in again with every commit
	}
	for _, pkg := range packages {
		if m := pkg.Module; m != nil && m.Path != Module {
			p.Versions[m.Path] = m.Version
		}
	}
	p.Key, err = p.hash(packages, toolchain["GOMODCACHE"])
	return p, err
}

// choose fills in which packages are commands. Of two with one name ours is taken.
func (p *Plan) choose(packages []listed) {
	taken := map[string]bool{}
	for _, pkg := range packages {
		if pkg.Name == "main" && strings.HasPrefix(pkg.ImportPath, Module+"/") {
			taken[path.Base(pkg.ImportPath)] = true
			p.packages = append(p.packages, pkg.ImportPath)
		}
	}
	for _, pkg := range fromURoot {
		if !taken[path.Base(pkg)] {
			p.packages = append(p.packages, pkg)
		}
	}
	p.Names = names(p.packages)
}

// hash names all inputs of the build. A file in the module cache is what go.sum says it is, so its path is enough; the
// others are read.
func (p *Plan) hash(packages []listed, modcache string) (string, error) {
	h := sha256.New()
	flags, settings := Compiler(p.arch, p.release)
	fmt.Fprintln(h, "commands, format 2:", p.Go, flags, settings, p.packages, p.language, os.Getenv("GOEXPERIMENT"))
	for _, pkg := range packages {
		fmt.Fprintln(h, "package", pkg.ImportPath)
		if pkg.Standard {
			continue
		}
		if below, err := filepath.Rel(modcache, pkg.Dir); err == nil && filepath.IsLocal(below) {
			fmt.Fprintln(h, "in the module cache:", below)
			continue
		}
		for _, name := range slices.Concat(pkg.GoFiles, pkg.SFiles, pkg.HFiles, pkg.EmbedFiles, pkg.OtherFiles) {
			if err := hashFile(h, filepath.Join(pkg.Dir, name), name); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(h io.Writer, file, name string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read the commands' source: %w", err)
	}
	defer f.Close()
	of := sha256.New()
	if _, err := io.Copy(of, f); err != nil {
		return fmt.Errorf("read the commands' source: %w", err)
	}
	_, err = fmt.Fprintf(h, "%s %x\n", name, of.Sum(nil))
	return err
}

// goEnv asks the go command, which is the one that source's go.mod wants, about itself.
func goEnv(ctx context.Context, source string) (map[string]string, error) {
	out, err := goCommand(ctx, source, nil, "env", "-json", "GOROOT", "GOVERSION", "GOMODCACHE")
	if err != nil {
		return nil, err
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		return nil, fmt.Errorf("read go env: %w", err)
	}
	return env, nil
}

// goList lists the packages of the patterns and all they import on an architecture, sorted.
func goList(ctx context.Context, source string, a arch.Arch, patterns []string) ([]listed, error) {
	const fields = "ImportPath,Name,Dir,Standard,Module,Error,GoFiles,SFiles,HFiles,EmbedFiles,OtherFiles"
	args := []string{"list", "-e", "-deps", "-tags=" + strings.Join(tags, ","), "-json=" + fields}
	target := []string{"GOOS=linux", "GOARCH=" + string(a), level(a), "CGO_ENABLED=0"}
	out, err := goCommand(ctx, source, target, append(args, patterns...)...)
	if err != nil {
		return nil, err
	}
	byPath := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg listed
		err := d.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		if pkg.Error != nil {
			return nil, fmt.Errorf("the node's commands do not compile: %s: %s", pkg.ImportPath, pkg.Error.Err)
		}
		byPath[pkg.ImportPath] = pkg
	}
	var packages []listed
	for _, p := range slices.Sorted(maps.Keys(byPath)) {
		packages = append(packages, byPath[p])
	}
	return packages, nil
}

// goCommand runs go in source with some more environment variables.
func goCommand(ctx context.Context, source string, env []string, args ...string) ([]byte, error) {
	tool, err := findGo(usualGo)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("go %s: %w", args[0], ctx.Err())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("go %s in %s: %w: %s", args[0], source, err, bytes.TrimSpace(exit.Stderr))
	}
	return nil, fmt.Errorf("go %s in %s: %w", args[0], source, err)
}

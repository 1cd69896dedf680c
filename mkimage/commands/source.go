package commands

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"

	"github.com/boottorrent/boottorrent/internal/self"
)

// FindSource returns the checkout of this module from which commands are built: dir if it isn't empty, else the first
// folder with this module's go.mod among the working folder, the program's, and those above them.
func FindSource(dir string) (string, error) {
	if dir != "" {
		ok, err := isSource(dir)
		if err != nil {
			return "", err
		}
		if !ok {
			return "", fmt.Errorf("%s is not a checkout of %s: its go.mod is missing or another module's", dir, Module)
		}
		return filepath.Abs(dir)
	}
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if program, err := os.Executable(); err == nil {
		if program, err = filepath.EvalSymlinks(program); err == nil {
			starts = append(starts, filepath.Dir(program))
		}
	}
	for _, start := range starts {
		for at := start; ; at = filepath.Dir(at) {
			ok, err := isSource(at)
			if err != nil {
				return "", err
			}
			if ok {
				return at, nil
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	return "", fmt.Errorf("the source of the node's commands is neither in this folder nor where "+self.Mkimage()+" is, nor above them; "+
		"give a checkout of %s with --source DIR", Module)
}

// isSource is whether dir has this module's go.mod.
func isSource(dir string) (bool, error) {
	file := filepath.Join(dir, "go.mod")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the source: %w", err)
	}
	return modfile.ModulePath(b) == Module, nil
}

// language returns the go line of the source's go.mod, e.g. "1.26.0".
func language(source string) (string, error) {
	file := filepath.Join(source, "go.mod")
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the source: %w", err)
	}
	m, err := modfile.ParseLax(file, b, nil)
	if err != nil {
		return "", fmt.Errorf("read the source: %w", err)
	}
	if m.Go == nil {
		return "", fmt.Errorf("%s has no go line; add the version of Go that this module is written for", file)
	}
	return m.Go.Version, nil
}

package drivers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/kmod"
)

// tree is a folder lib/modules/VERSION. Modules are read when they are asked for.
type tree struct {
	dir string
	// files has the path below dir of each module, by name; builtin the path that a module built into the kernel would
	// have.
	files, builtin map[string]string
	read           map[string]*Module
}

func openTree(dir string) (*tree, error) {
	t := &tree{dir: dir, files: map[string]string{}, read: map[string]*Module{}}
	err := filepath.WalkDir(filepath.Join(dir, "kernel"), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path.Ext(kmod.Uncompressed(file)) != ".ko" || !isFile(file, d) {
			return nil
		}
		relative, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		t.files[kmod.Name(file)] = filepath.ToSlash(relative)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the modules of the kernel: %w; give the folder …/lib/modules/VERSION", err)
	}
	if t.builtin, err = readBuiltin(filepath.Join(dir, "modules.builtin")); err != nil {
		return nil, err
	}
	if len(t.files) == 0 && len(t.builtin) == 0 {
		return nil, fmt.Errorf("there is no module (*.ko) below %s/kernel; give the folder …/lib/modules/VERSION", dir)
	}
	return t, nil
}

// isFile is whether a file is a regular one or a link to one: who opens anything else may wait for ever.
func isFile(file string, d fs.DirEntry) bool {
	if d.Type()&fs.ModeSymlink == 0 {
		return d.Type().IsRegular()
	}
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}

// readBuiltin reads a list of the modules built into the kernel, one path a line. A missing one is an empty one.
func readBuiltin(file string) (map[string]string, error) {
	builtin := map[string]string{}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return builtin, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is built into the kernel: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if p := strings.TrimSpace(lines.Text()); p != "" {
			builtin[kmod.Name(p)] = p
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read what is built into the kernel: %w", err)
	}
	return builtin, nil
}

// builtinAliases are lines of modules.alias for what is built into the kernel, from modules.builtin.modinfo: MODULE.KEY=VALUE, ended
// by NUL, again and again. Kernels before 5.2 have no such file.
func (t *tree) builtinAliases() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(t.dir, "modules.builtin.modinfo"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what is built into the kernel: %w", err)
	}
	var lines bytes.Buffer
	for entry := range strings.SplitSeq(string(b), "\x00") {
		key, pattern, _ := strings.Cut(entry, "=")
		name, isAlias := strings.CutSuffix(key, ".alias")
		if isAlias && t.isBuiltin(name) && len(strings.Fields(pattern)) == 1 {
			fmt.Fprintf(&lines, "alias %s %s\n", pattern, kmod.Normalize(name))
		}
	}
	return lines.Bytes(), nil
}

// has is whether the tree has a module of this name as a file.
func (t *tree) has(name string) bool {
	_, ok := t.files[kmod.Normalize(name)]
	return ok
}

// isBuiltin is whether the kernel has a module of this name built in.
func (t *tree) isBuiltin(name string) bool {
	_, ok := t.builtin[kmod.Normalize(name)]
	return ok
}

// module reads the module of a name that the tree has.
func (t *tree) module(name string) (*Module, error) {
	name = kmod.Normalize(name)
	if m, ok := t.read[name]; ok {
		return m, nil
	}
	file, ok := t.files[name]
	if !ok {
		return nil, fmt.Errorf("the kernel has no module %s", name)
	}
	m, err := readModule(filepath.Join(t.dir, filepath.FromSlash(file)), file)
	if err != nil {
		return nil, err
	}
	t.read[name] = m
	return m, nil
}

// below returns the names of the modules below a folder, sorted.
func (t *tree) below(dir string) []string {
	var names []string
	for name, file := range t.files {
		if strings.HasPrefix(file, dir+"/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// similar returns names of modules which somebody who wrote name may have meant.
func (t *tree) similar(name string) []string {
	name = kmod.Normalize(name)
	var names []string
	for n := range t.files {
		if strings.Contains(n, name) || len(n) > 2 && strings.Contains(name, n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), 5)]
}

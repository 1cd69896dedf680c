// Package modarchive is the form in which a system of the method root brings its kernel's modules to a node: one file that is a part
// of an initramfs.
//
// The file is two cpio archives (newc; Linux, Documentation/driver-api/early-userspace/buffer-format.rst), one after the other. The
// first is not compressed and has the index files lib/modules/RELEASE/modules.{dep,alias,softdep,builtin}, so that a node can tell
// without a decompressor which devices the kernel will have a driver for. The second, compressed with xz or zstd, has the modules
// and their firmware. mkimage writes the file, 'seeder check' and the node read its index.
//
// modules.builtin has all that the kernel has built in. modules.alias has the aliases of the modules in the archive and, as far as
// the kernel's build recorded them (Linux 5.2 and later), those of what is built in.
package modarchive

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/kmod"
)

// The index files.
const (
	Dep     = "modules.dep"
	Alias   = "modules.alias"
	Softdep = "modules.softdep"
	Builtin = "modules.builtin"
)

// indexFiles are what the first archive must have, and all that it may have.
var indexFiles = []string{Dep, Alias, Softdep, Builtin}

// Folder is where modules are in an initramfs; the folder RELEASE is in it.
const Folder = "lib/modules"

// Index is what an archive says of a kernel and its modules.
type Index struct {
	// Release is the kernel's, as uname -r prints it.
	Release string

	aliases kmod.Aliases
	// modules has the path of each module in the archive by its name, needs the names of those it depends on; builtin the
	// names of those in the kernel.
	modules map[string]string
	needs   map[string][]string
	builtin map[string]bool
}

// Drivers returns the names of all modules that claim a modalias, of those in the archive and of those built into the kernel.
func (x *Index) Drivers(modalias string) []string { return x.aliases.Modules(modalias) }

// Has reports whether the kernel has a module of this name, built in or in the archive. Dashes and underscores are one.
func (x *Index) Has(name string) bool {
	_, module := x.modules[kmod.Normalize(name)]
	return module || x.IsBuiltin(name)
}

// IsBuiltin reports whether a module of this name is built into the kernel.
func (x *Index) IsBuiltin(name string) bool { return x.builtin[kmod.Normalize(name)] }

// Modules are the names of the modules in the archive, sorted.
func (x *Index) Modules() []string { return slices.Sorted(maps.Keys(x.modules)) }

// Read reads the index of the archive in r, which has size bytes, and of the rest only whether it is there to its end. It reads a
// bounded amount, whatever is in r. An error says in words for a person what r is instead.
func Read(r io.ReaderAt, size int64) (*Index, error) {
	files, end, err := readFirst(r, size)
	if err != nil {
		return nil, err
	}
	x, err := parse(files)
	if err != nil {
		return nil, err
	}
	return x, checkSecond(r, end, size)
}

// errForm is the advice behind every error.
var errForm = errors.New("make an archive of the kernel's modules with mkimage modules")

func formError(format string, args ...any) error {
	return fmt.Errorf("%s; %w", fmt.Sprintf(format, args...), errForm)
}

// parse makes an index of the files of the first archive, by their path.
func parse(files map[string]string) (*Index, error) {
	x := &Index{modules: map[string]string{}, needs: map[string][]string{}, builtin: map[string]bool{}}
	for name := range files {
		release := path.Base(path.Dir(name))
		if x.Release != "" && x.Release != release {
			return nil, formError("it has the modules of two kernels, %s and %s", min(x.Release, release), max(x.Release, release))
		}
		x.Release = release
	}
	if x.Release == "" {
		return nil, formError("its first cpio archive has no index of modules")
	}
	dir := path.Join(Folder, x.Release)
	for _, name := range indexFiles {
		if _, ok := files[path.Join(dir, name)]; !ok {
			return nil, formError("it lacks %s/%s", dir, name)
		}
	}
	var err error
	if x.aliases, err = kmod.ParseAliases(strings.NewReader(files[path.Join(dir, Alias)])); err != nil {
		return nil, formError("%v", err)
	}
	for line := range strings.Lines(files[path.Join(dir, Builtin)]) {
		if line = strings.TrimSpace(line); line != "" {
			x.builtin[kmod.Name(line)] = true
		}
	}
	return x, x.parseDep(files[path.Join(dir, Dep)])
}

// parseDep reads modules.dep (modules.dep(5)): "PATH: PATH…", and checks that what modules need is there: a node would find out
// only after it has started the kernel.
func (x *Index) parseDep(text string) error {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		file, needs, ok := strings.Cut(line, ":")
		if !ok {
			return formError("%s has the line %q, which has no colon", Dep, strings.TrimSpace(line))
		}
		name := kmod.Name(file)
		x.modules[name] = file
		for _, n := range strings.Fields(needs) {
			x.needs[name] = append(x.needs[name], kmod.Name(n))
		}
	}
	for _, name := range x.Modules() {
		for _, n := range x.needs[name] {
			if !x.Has(n) {
				return formError("its module %s needs %s, which it lacks", name, n)
			}
		}
	}
	return nil
}

package qemu

import (
	"bufio"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// linker finds the shared libraries that a program needs, as the dynamic linker would (ld.so(8)): in the program's own run
// path, in the folders of ld.so.conf, and in the standard ones.
type linker struct {
	dirs []string
	// found are the files of the libraries by their names in programs (DT_NEEDED).
	found map[string]string
	seen  map[string]bool
}

// standardDirs are those of ld.so(8), and of Debian's and Fedora's 64-bit libraries.
var standardDirs = []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"}

const ldConf = "/etc/ld.so.conf"

func newLinker() (*linker, error) {
	l := &linker{found: map[string]string{}, seen: map[string]bool{}}
	if err := l.configured(ldConf); err != nil {
		return nil, err
	}
	l.dirs = append(l.dirs, standardDirs...)
	return l, nil
}

// configured adds the folders of a file in the form of ld.so.conf (ldconfig(8)).
func (l *linker) configured(file string) error {
	if l.seen[file] {
		return nil
	}
	l.seen[file] = true
	f, err := os.Open(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "include":
			pattern := fields[1]
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(file), pattern)
			}
			files, err := filepath.Glob(pattern)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			for _, included := range files {
				if err := l.configured(included); err != nil {
					return err
				}
			}
		case len(fields) == 1 && filepath.IsAbs(fields[0]):
			l.dirs = append(l.dirs, fields[0])
		}
	}
	return nil
}

// add finds all that a program or library needs, and returns the dynamic linker that it asks for; a library asks for none.
// On an error nothing is added.
func (l *linker) add(file string) (loader string, err error) {
	fresh := map[string]string{}
	loader, err = l.needs(file, fresh)
	if err != nil {
		return "", err
	}
	for name, file := range fresh {
		l.found[name] = file
	}
	return loader, nil
}

// needs collects what file and its libraries need into fresh.
func (l *linker) needs(file string, fresh map[string]string) (loader string, err error) {
	program, err := elf.Open(file)
	if err != nil {
		return "", err
	}
	defer program.Close()
	libraries, err := program.ImportedLibraries()
	if err != nil {
		return "", fmt.Errorf("read which libraries %s needs: %w", file, err)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			name, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
			if err != nil {
				return "", err
			}
			loader = strings.TrimRight(string(name), "\x00")
		}
	}
	for _, name := range libraries {
		if l.found[name] != "" || fresh[name] != "" {
			continue
		}
		at, err := l.find(name, file, program)
		if err != nil {
			return "", err
		}
		fresh[name] = at
		if _, err := l.needs(at, fresh); err != nil {
			return "", err
		}
	}
	return loader, nil
}

// find returns the file of a library that a program needs.
func (l *linker) find(name, by string, program *elf.File) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		paths, err := program.DynString(tag)
		if err != nil {
			return "", fmt.Errorf("read the run path of %s: %w", by, err)
		}
		for _, list := range paths {
			for _, dir := range strings.Split(list, ":") {
				dirs = append(dirs, strings.NewReplacer("$ORIGIN", filepath.Dir(by), "${ORIGIN}", filepath.Dir(by)).Replace(dir))
			}
		}
	}
	for _, dir := range append(dirs, l.dirs...) {
		at := filepath.Join(dir, name)
		if library, err := elf.Open(at); err == nil {
			fits := library.Machine == program.Machine && library.Class == program.Class
			library.Close()
			if fits {
				return at, nil
			}
		}
	}
	return "", fmt.Errorf("the library %s, which %s needs, is not on this machine", name, by)
}

// plugin is the file of one of QEMU's modules; empty if there is none.
func (l *linker) plugin(name string) string {
	for _, dir := range l.dirs {
		at := filepath.Join(dir, "qemu", name+".so")
		if _, err := os.Stat(at); err == nil {
			return at
		}
	}
	return ""
}

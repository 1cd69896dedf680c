// Package qemu packs the QEMU that is installed on the seeder's machine into a runtime for nodes: one archive in the form of
// internal/qemuruntime, with everything in it that QEMU needs, so that a node whose own system has no shared library can
// run it.
//
// In goes an installation ([Find]) and the kernel modules that mkimage put aside; out comes a system for the store
// ([Installation.Pack]), made once and kept until one of the files in it changes.
package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/ldd"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// Installation is a QEMU with everything it needs: files of this machine by their paths in the archive.
type Installation struct {
	// Binary is where QEMU was found, Guest the architecture of what it runs.
	Binary string
	Guest  arch.Arch
	files  map[string]string
}

// Find looks for the QEMU on this machine that runs guests of an architecture. The error says what to install.
func Find(guest arch.Arch) (*Installation, error) {
	program := qemuruntime.Program(guest)
	binary, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%s is not installed on this machine, from which nodes get it: %s", program, kinds[guest].install)
	}
	i := &Installation{Binary: binary, Guest: guest, files: map[string]string{}}
	i.files[qemuruntime.Binary(guest)] = binary
	if err := i.addFirmware(); err != nil {
		return nil, err
	}
	return i, i.addLibraries()
}

// libraryDirs are where distributions have QEMU's folder of modules: Debian on its architectures, Fedora, others.
var libraryDirs = []string{"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"}

// addLibraries adds the dynamic linker, QEMU's modules and all libraries that those and QEMU need.
func (i *Installation) addLibraries() error {
	install := kinds[i.Guest].install
	loader, err := ldd.GetInterp(i.Binary)
	if err != nil || loader == "" {
		return fmt.Errorf("%s asks for no dynamic linker (%v); install it again: %s", i.Binary, err, install)
	}
	i.files[qemuruntime.Loader] = loader
	if err := i.addNeeded(i.Binary); err != nil {
		return fmt.Errorf("%w; install it again: %s", err, install)
	}
	for _, name := range kinds[i.Guest].plugins {
		file := plugin(name)
		if file == "" {
			continue // it is part of the program, or QEMU was built without
		}
		if i.addNeeded(file) == nil { // otherwise what it needs is a package's that isn't there; QEMU says so when it is asked for
			i.files[path.Join(qemuruntime.Plugins, name+".so")] = file
		}
	}
	return nil
}

// addNeeded adds the libraries that a program or library needs, as the dynamic linker finds them (ld.so --list). On an error
// nothing is added.
func (i *Installation) addNeeded(file string) error {
	libraries, err := ldd.List(file)
	if err != nil {
		return fmt.Errorf("the dynamic linker can't find what %s needs: %w", file, err)
	}
	for _, library := range libraries {
		if !filepath.IsAbs(library) { // "libx.so => not found"
			return fmt.Errorf("a library that %s needs is not on this machine: ldd %s", file, file)
		}
	}
	for _, library := range libraries {
		i.files[path.Join(qemuruntime.Libraries, filepath.Base(library))] = library
	}
	return nil
}

// plugin is the file of one of QEMU's modules; empty if there is none.
func plugin(name string) string {
	for _, dir := range libraryDirs {
		at := filepath.Join(dir, "qemu", name+".so")
		if _, err := os.Stat(at); err == nil {
			return at
		}
	}
	return ""
}

// addFirmware adds the firmware from all folders in which QEMU looks for it; the first that has a file counts.
func (i *Installation) addFirmware() error {
	out, err := exec.Command(i.Binary, "-L", "help").Output()
	if err != nil {
		return fmt.Errorf("ask %s where its firmware is: %w", i.Binary, err)
	}
	dirs := strings.Fields(string(out))
	for _, dir := range dirs {
		for _, pattern := range kinds[i.Guest].firmware {
			matches, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return err
			}
			for _, file := range matches {
				if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
					continue // a link into a package that isn't there
				}
				rel, err := filepath.Rel(dir, file)
				if err != nil {
					return err
				}
				name := path.Join(qemuruntime.Share, filepath.ToSlash(rel))
				if _, known := i.files[name]; !known {
					i.files[name] = file
				}
			}
		}
	}
	return kinds[i.Guest].boots(i, dirs)
}

// names are the paths in the archive, sorted.
func (i *Installation) names() []string {
	names := make([]string, 0, len(i.files))
	for name := range i.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// missing explains a file that vanished.
func missing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: was QEMU upgraded meanwhile? restart the seeder", err)
	}
	return err
}

// version is the first line of qemu --version, for people.
func (i *Installation) version() string {
	out, err := exec.Command(i.Binary, "--version").Output()
	if err != nil {
		return filepath.Base(i.Binary)
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return string(line)
}

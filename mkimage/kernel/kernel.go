// Package kernel finds the Linux kernel of phase 1: an image and the modules built with it, either given as files
// ([Local]) or taken from the distribution's package archive into a cache, without installing anything and without root
// ([Distribution], [Update]).
package kernel

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/bzimage"
)

// Files are a kernel and its modules.
type Files struct {
	// Vmlinuz is the path of the kernel image (bzImage).
	Vmlinuz string
	// Modules is the path of the folder lib/modules/Version.
	Modules string
	// Version is the kernel's release, as uname -r prints it.
	Version string
	// Package is "NAME VERSION" of the distribution's package; empty for files given by hand.
	Package string
}

// Local checks a kernel given by hand. modules is the folder …/lib/modules/VERSION; if it is empty, the running system's
// /lib/modules/VERSION is taken.
func Local(vmlinuz, modules string) (Files, error) {
	release, err := Release(vmlinuz)
	if err != nil {
		return Files{}, err
	}
	if modules == "" {
		modules = filepath.Join("/lib/modules", release)
		if !isDir(modules) {
			return Files{}, fmt.Errorf("the modules of %s, kernel %s, are not in %s; say where they are with --modules DIR",
				vmlinuz, release, modules)
		}
	}
	return check(Files{Vmlinuz: vmlinuz, Modules: modules, Version: release})
}

// check refuses modules that are not the kernel's: it would refuse to load them.
func check(f Files) (Files, error) {
	if !isDir(filepath.Join(f.Modules, "kernel")) {
		return Files{}, fmt.Errorf("%s has no folder kernel in it: give the folder …/lib/modules/%s", f.Modules, f.Version)
	}
	modules, err := filepath.Abs(f.Modules)
	if err != nil {
		return Files{}, fmt.Errorf("find the modules %s: %w", f.Modules, err)
	}
	if of := filepath.Base(modules); of != f.Version {
		return Files{}, fmt.Errorf("%s is kernel %s, but %s has the modules of %s; give a kernel and modules that were built together",
			f.Vmlinuz, f.Version, f.Modules, of)
	}
	vmlinuz, err := filepath.Abs(f.Vmlinuz)
	if err != nil {
		return Files{}, fmt.Errorf("find the kernel %s: %w", f.Vmlinuz, err)
	}
	f.Vmlinuz, f.Modules = vmlinuz, modules
	return f, nil
}

// unpacked finds the kernel in a folder into which a package was unpacked.
func unpacked(dir, pkg string) (Files, error) {
	images, err := filepath.Glob(filepath.Join(dir, "boot", "vmlinuz-*"))
	if err != nil {
		return Files{}, err
	}
	if len(images) != 1 {
		return Files{}, fmt.Errorf("the package %s has %d files boot/vmlinuz-*, not one; give a kernel with --kernel FILE --modules DIR",
			pkg, len(images))
	}
	release, err := Release(images[0])
	if err != nil {
		return Files{}, err
	}
	f := Files{Vmlinuz: images[0], Version: release, Package: pkg}
	// Since Debian 13 the modules are below /usr.
	for _, lib := range []string{"lib", "usr/lib"} {
		if f.Modules = filepath.Join(dir, lib, "modules", release); isDir(f.Modules) {
			return check(f)
		}
	}
	return Files{}, fmt.Errorf("the package %s has no modules of its kernel %s; give a kernel with --kernel FILE --modules DIR",
		pkg, release)
}

// Release reads the release, as uname -r prints it, from the header of a kernel image.
func Release(vmlinuz string) (string, error) {
	f, err := os.Open(vmlinuz)
	if errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("read the kernel %s: %w; make it readable (sudo chmod +r) or copy it", vmlinuz, err)
	}
	if err != nil {
		return "", fmt.Errorf("read the kernel: %w", err)
	}
	defer f.Close()
	head := make([]byte, bzimage.HeaderSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the kernel: %w", err)
	}
	header, err := bzimage.Parse(head[:n])
	if err != nil || header.Arch != "amd64" {
		return "", fmt.Errorf("%s is not an x86 Linux kernel image (its header has no \"HdrS\"); give a vmlinuz, not a vmlinux or an initramfs",
			vmlinuz)
	}
	release := header.Release(f)
	if release == "" {
		return "", fmt.Errorf("%s does not say which kernel release it is; give an image made by the kernel's own build", vmlinuz)
	}
	return release, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

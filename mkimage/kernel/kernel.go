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
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/bzimage"
)

// Files are a kernel and its modules.
type Files struct {
	// Vmlinuz is the path of the kernel image: a bzImage for amd64, an Image for arm64, which may be compressed.
	Vmlinuz string
	Arch    arch.Arch
	// Modules is the path of the folder lib/modules/Version.
	Modules string
	// Version is the kernel's release, as uname -r prints it.
	Version string
	// Package is "NAME VERSION" of the distribution's package; empty for files given by hand.
	Package string
}

// Local checks a kernel given by hand. modules is the folder …/lib/modules/VERSION, or one that has it in it or below lib/modules; if
// it is empty, the folder is looked for beside the kernel, as in the root file system that the kernel is in, and then in
// the running system's /lib/modules.
func Local(vmlinuz, modules string) (Files, error) {
	release, kernelArch, err := identify(vmlinuz)
	if err != nil {
		return Files{}, err
	}
	f := Files{Vmlinuz: vmlinuz, Arch: kernelArch, Modules: modules, Version: release}
	if modules != "" {
		if found := modulesIn(modules, release); len(found) > 0 {
			f.Modules = found[0]
		}
		return check(f)
	}
	path, err := filepath.Abs(vmlinuz)
	if err != nil {
		return Files{}, fmt.Errorf("find the kernel %s: %w", vmlinuz, err)
	}
	// In a root file system it is in /boot, in / or, in Fedora's and Arch's packages, in the folder of its modules.
	beside := filepath.Dir(path)
	for _, dir := range []string{beside, filepath.Dir(beside), "/"} {
		if found := modulesIn(dir, release); len(found) > 0 {
			f.Modules = found[0]
			return check(f)
		}
	}
	return Files{}, fmt.Errorf("the modules of %s, kernel %s, are neither beside it nor in /lib/modules; say where they are with --modules DIR",
		vmlinuz, release)
}

// modulesIn are the folders of modules of kernels whose release matches a pattern: in dir, or in it as in a root file system.
func modulesIn(dir, release string) (found []string) {
	for _, below := range []string{"", "lib/modules", "usr/lib/modules"} {
		// The only error is a bad pattern: a folder whose name is one has no modules.
		kernels, _ := filepath.Glob(filepath.Join(dir, below, release, "kernel"))
		for _, k := range kernels {
			found = append(found, filepath.Dir(k))
		}
	}
	return found
}

// check refuses modules that are not the kernel's: it would refuse to load them.
func check(f Files) (Files, error) {
	if !isDir(filepath.Join(f.Modules, "kernel")) {
		if others := modulesIn(f.Modules, "*"); len(others) > 0 {
			return Files{}, mismatch(f, others)
		}
		return Files{}, fmt.Errorf("%s has no folder kernel in it: give the folder …/lib/modules/%s", f.Modules, f.Version)
	}
	modules, err := filepath.Abs(f.Modules)
	if err != nil {
		return Files{}, fmt.Errorf("find the modules %s: %w", f.Modules, err)
	}
	if filepath.Base(modules) != f.Version {
		return Files{}, mismatch(f, []string{modules})
	}
	vmlinuz, err := filepath.Abs(f.Vmlinuz)
	if err != nil {
		return Files{}, fmt.Errorf("find the kernel %s: %w", f.Vmlinuz, err)
	}
	f.Vmlinuz, f.Modules = vmlinuz, modules
	return f, nil
}

// mismatch says which kernel's modules the folders are.
func mismatch(f Files, folders []string) error {
	var releases []string
	for _, dir := range folders {
		releases = append(releases, filepath.Base(dir))
	}
	slices.Sort(releases)
	releases = slices.Compact(releases) // lib may be a link to usr/lib
	return fmt.Errorf("%s is kernel %s, but %s has the modules of %s; give a kernel and modules that were built together",
		f.Vmlinuz, f.Version, f.Modules, strings.Join(releases, ", "))
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
	release, kernelArch, err := identify(images[0])
	if err != nil {
		return Files{}, err
	}
	f := Files{Vmlinuz: images[0], Arch: kernelArch, Version: release, Package: pkg}
	// Since Debian 13 the modules are below /usr.
	for _, lib := range []string{"lib", "usr/lib"} {
		if f.Modules = filepath.Join(dir, lib, "modules", release); isDir(f.Modules) {
			return check(f)
		}
	}
	return Files{}, fmt.Errorf("the package %s has no modules of its kernel %s; give a kernel with --kernel FILE --modules DIR",
		pkg, release)
}

// Release reads the release, as uname -r prints it, from a kernel image.
func Release(vmlinuz string) (string, error) {
	release, _, err := identify(vmlinuz)
	return release, err
}

// identify reads release and architecture from a kernel image.
func identify(vmlinuz string) (string, arch.Arch, error) {
	f, err := os.Open(vmlinuz)
	if errors.Is(err, fs.ErrPermission) {
		return "", "", fmt.Errorf("read the kernel %s: %w; make it readable (sudo chmod +r) or copy it", vmlinuz, err)
	}
	if err != nil {
		return "", "", fmt.Errorf("read the kernel: %w", err)
	}
	defer f.Close()
	head := make([]byte, bzimage.HeaderSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", "", fmt.Errorf("read the kernel: %w", err)
	}
	header, err := bzimage.Parse(head[:n])
	if err != nil {
		return "", "", fmt.Errorf("%s is no Linux kernel image for amd64 or arm64; give a vmlinuz, not a vmlinux or an initramfs", vmlinuz)
	}
	release := header.Release(f)
	if release == "" {
		return "", "", fmt.Errorf("%s does not say which kernel release it is; give an image made by the kernel's own build", vmlinuz)
	}
	return release, arch.Arch(header.Arch), nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

package qemu

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/bzimage"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// setupSize is as much of a kernel as has its release in it: the header's kernel_version is a 16-bit offset from 0x200
// (Linux, Documentation/arch/x86/boot.rst).
const setupSize = 0x200 + 1<<16

// CheckModules looks whether the kernel modules that mkimage put aside (qemuruntime.ImageModules, beside the kernel in the folder
// images) are there and of that kernel; no other would load them. An image without a kernel is nothing to complain of here.
func CheckModules(images, kernel string) error {
	file := filepath.Join(images, qemuruntime.ImageModules)
	release, err := modulesRelease(file)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is missing, so nodes run QEMU without KVM, and without a mouse", file)
	}
	if err != nil {
		return fmt.Errorf("%s can't be read (%w)", file, err)
	}
	f, err := os.Open(filepath.Join(images, kernel))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	setup, err := io.ReadAll(io.LimitReader(f, setupSize))
	if err != nil {
		return err
	}
	if !isOf(setup, f, release) {
		return fmt.Errorf("%s has modules for the kernel %s, and %s is another, so nodes run QEMU without KVM, and without a mouse",
			file, release, f.Name())
	}
	return nil
}

// isOf reports whether a kernel that begins with setup is of a release. Kernels for arm64 say it somewhere in the middle.
func isOf(setup []byte, kernel io.ReaderAt, release string) bool {
	if header, err := bzimage.Parse(setup); err == nil && header.Arch == string(arch.ARM64) {
		return header.Release(kernel) == release
	}
	return bytes.Contains(setup, []byte(release+" ")) // followed by who built it
}

// modulesRelease is the release of the kernel that the modules are for: their folder in the archive.
func modulesRelease(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h, err := tar.NewReader(f).Next()
	if err != nil {
		return "", err
	}
	release, _, _ := strings.Cut(h.Name, "/")
	return release, nil
}

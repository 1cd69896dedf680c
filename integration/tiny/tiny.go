// Package tiny makes a tiny system, to boot into: a kernel and an initramfs whose only program (the command in init/)
// says on every console that it runs, with which network cards and which command line, and ends at a key.
//
// In go a kernel and the modules of network cards; out comes a folder oss/NAME of a site, of any size one likes: it can
// be padded with bytes that do not compress.
package tiny

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// What the consoles show.
const (
	// Marker is the line that says the tiny system runs; End starts the last line it prints before it waits for a key.
	Marker = "BOOTTORRENT-TINY-OK"
	End    = "BOOTTORRENT-TINY-END"
)

// Cmdline is the kernel command line of the system, as in its config.yaml: it shows that placeholders are filled in.
const Cmdline = "console=tty0 console=ttyS0,115200 " + words

// cmdlineARM64 is the same for arm64, whose first serial line is another.
const cmdlineARM64 = "console=tty0 console=ttyAMA0,115200 " + words

const words = "bt.mac={{.MAC}} bt.ip={{.IP}} bt.seeder={{.Seeder}}"

// Names of the files in a system's folder.
const (
	kernelFile  = "vmlinuz"
	initrdFile  = "initrd.gz"
	paddingFile = "padding.cpio"
	configFile  = "config.yaml"
)

// Build makes dir the folder of a system: config.yaml, vmlinuz (a copy of kernel), initrd.gz and, with padding above 0,
// padding.cpio: a second initramfs with one file of so many bytes. Modules are files (.ko, .ko.xz, .ko.zst), loaded in that
// order. The same arguments give the same bytes. It runs the go tool, in the current directory, which must be
// within this module.
func Build(ctx context.Context, dir string, a arch.Arch, kernel string, modules []string, padding int64) error {
	if err := build(ctx, dir, a, kernel, modules, padding); err != nil {
		return fmt.Errorf("build the tiny system in %s: %w", dir, err)
	}
	return nil
}

func build(ctx context.Context, dir string, a arch.Arch, kernel string, modules []string, padding int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(dir, kernelFile), kernel); err != nil {
		return err
	}
	if err := Initrd(ctx, filepath.Join(dir, initrdFile), a, modules); err != nil {
		return err
	}
	if padding > 0 {
		if err := writePadding(filepath.Join(dir, paddingFile), padding); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, configFile), config(filepath.Base(dir), a, padding), 0o644)
}

// config is config.yaml of a system.
func config(name string, a arch.Arch, padding int64) []byte {
	initrd := "initrd: " + initrdFile
	description := "says that it runs, and powers off at a key"
	if padding > 0 {
		// Linux finds an uncompressed archive behind another only at a multiple of four bytes (early-userspace/buffer-format),
		// but one of gzip anywhere: so a plain concatenation works.
		initrd = fmt.Sprintf("initrd:\n  - %s\n  - %s", paddingFile, initrdFile)
		description += fmt.Sprintf("; padded with %d bytes", padding)
	}
	cmdline := Cmdline
	if a == arch.ARM64 {
		cmdline = cmdlineARM64
	}
	return fmt.Appendf(nil, "dispname: Tiny system (%s)\ndescription: %s\narch: %s\nmethod: kexec\nkernel: %s\n%s\ncmdline: %q\n",
		name, description, a, kernelFile, initrd, cmdline)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return create(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// create writes a file and removes it again if that fails.
func create(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Close())
	if err != nil {
		os.Remove(path)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

package catalog

import (
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/secureboot"
)

// MethodRoot starts Linux from read-only images of its root file system: the node mounts them where it fetched them, and its
// first program becomes the system's init.
const MethodRoot = "root"

// Root are the arguments of MethodRoot.
type Root struct {
	// Images are the layers of the root file system, lowest first; at least one.
	Images []RootImage `json:"images"`
	// Boot is the kernel that the system wants to run under; nil: the one that phase 1 runs under.
	Boot *RootBoot `json:"boot,omitempty"`
	// Cmdline is what the system reads as its kernel command line; it may hold placeholders, see [Expand].
	Cmdline string `json:"cmdline,omitempty"`
	// Init is the absolute path, within the root file system, of the program that becomes process 1.
	Init string `json:"init"`
	// Writable is WritableRAM or WritableNone.
	Writable string `json:"writable"`
	// WritableLimit is how much of the node's memory may be written to; the zero value is what is left beside the images, at most
	// half of the memory.
	WritableLimit Share `json:"writable_limit,omitzero"`
}

// RootImage is one layer.
type RootImage struct {
	// Path is of the system's FileList.
	Path string `json:"path"`
	// FS is the kernel's name of its file system: one of ImageFileSystems.
	FS string `json:"fs"`
}

// ImageFileSystems are the file systems that images may have, by the kernel's names.
var ImageFileSystems = []string{"squashfs", "erofs", "ext4"}

// RootBoot is a kernel with its modules: the boot part of a system. It is a torrent of its own, so that a node fetches these some
// 12 MiB, starts the kernel with kexec, and only then fetches the images. A node whose own kernel has the same SHA-256 skips that.
type RootBoot struct {
	// Part is the name of the Runtime that has the two files; Kernel and Modules are paths of its FileList. Modules is an archive as
	// package modarchive describes it.
	Part    string `json:"part"`
	Kernel  string `json:"kernel"`
	Modules string `json:"modules"`
	// KernelSHA256 is of the kernel's file, 64 lower-case hexadecimal digits. Release is what uname -r says under it.
	KernelSHA256 string `json:"kernel_sha256"`
	Release      string `json:"release"`
	// Signed says who signed the kernel; nil: that is not known, and nodes try.
	Signed *secureboot.File `json:"signed,omitempty"`
}

// The values of Root.Writable.
const (
	// WritableRAM lays a tmpfs over the images, in which everything is that the system writes.
	WritableRAM = "ram"
	// WritableNone leaves the root file system read-only.
	WritableNone = "none"
)

// Share is a part of a node's memory: Bytes, or Percent of all of it; the zero value says nothing. At most one is set.
type Share struct {
	Bytes   int64 `json:"bytes,omitempty"`
	Percent int   `json:"percent,omitempty"`
}

// Of is how many bytes that is on a machine with so many bytes of memory.
func (s Share) Of(memory int64) int64 {
	if s.Percent > 0 {
		return memory / 100 * int64(s.Percent)
	}
	return s.Bytes
}

// MaxLayers is how many images a system has: the kernel's overlay stacks at most 500 (OVL_MAX_STACK), and their paths have to fit
// into a page of mount options.
const MaxLayers = 64

// bootPart ends the names of boot parts: no system's name has an @.
const bootPart = "@boot"

// BootPartName is the name of the boot part of a system.
func BootPartName(system string) string { return system + bootPart }

// IsBootPart reports whether a runtime of that name is the boot part of a system.
func IsBootPart(name string) bool { return strings.HasSuffix(name, bootPart) }

// Kind says what a torrent of a catalog is: a system's method, or runtimeKind or bootPartKind.
func (s *System) Kind() string {
	switch {
	case s.Launch.Method != "":
		return s.Launch.Method
	case IsBootPart(s.Name):
		return bootPartKind
	}
	return runtimeKind
}

// What people read where a system's method stands.
const (
	runtimeKind  = "runtime"
	bootPartKind = "boot part"
)

// WithKernel is the launch with the SHA-256 of its boot part's kernel; any other is as it was.
func (l Launch) WithKernel(sha256 string) Launch {
	if l.Root == nil || l.Root.Boot == nil {
		return l
	}
	root, boot := *l.Root, *l.Root.Boot
	boot.KernelSHA256 = sha256
	root.Boot, l.Root = &boot, &root
	return l
}

func (r *Root) validate() error {
	if n := len(r.Images); n == 0 || n > MaxLayers {
		return fmt.Errorf("it has %d root images, and nodes mount 1 to %d; join some of them", n, MaxLayers)
	}
	for _, i := range r.Images {
		if err := i.validate(); err != nil {
			return err
		}
	}
	if r.Boot != nil {
		if err := r.Boot.validate(); err != nil {
			return err
		}
	}
	switch {
	case !path.IsAbs(r.Init) || r.Init != path.Clean(r.Init) || r.Init == "/":
		return fmt.Errorf("init %q is not an absolute path in the root file system", r.Init)
	case r.Writable != WritableRAM && r.Writable != WritableNone:
		return fmt.Errorf("writable %q is neither %s nor %s", r.Writable, WritableRAM, WritableNone)
	case r.WritableLimit.Bytes < 0 || r.WritableLimit.Percent < 0 || r.WritableLimit.Percent > 100 || r.WritableLimit.Bytes > 0 && r.WritableLimit.Percent > 0:
		return fmt.Errorf("the limit for what is written is %d bytes and %d %%", r.WritableLimit.Bytes, r.WritableLimit.Percent)
	}
	if err := checkText("init", r.Init, MaxPath, ""); err != nil {
		return err
	}
	return checkText("the command line", r.Cmdline, MaxRootCmdline, "\t")
}

func (i RootImage) validate() error {
	if slices.Contains(ImageFileSystems, i.FS) {
		return CheckPath(i.Path)
	}
	return fmt.Errorf("the image %s has the file system %q, and nodes mount %v", i.Path, i.FS, ImageFileSystems)
}

func (b *RootBoot) validate() error {
	if sum, err := hex.DecodeString(b.KernelSHA256); err != nil || len(sum) != 32 {
		return fmt.Errorf("the SHA-256 of its kernel is %q", b.KernelSHA256)
	}
	for _, p := range []string{b.Kernel, b.Modules} {
		if err := CheckPath(p); err != nil {
			return err
		}
	}
	if err := checkText("the kernel's release", b.Release, MaxName, ""); err != nil {
		return err
	}
	if err := b.Signed.Validate(); err != nil {
		return err
	}
	return CheckName(b.Part)
}

// Kernel is the kernel that kexec is to start for the system, and who signed it as far as that is known; ok is false if none is.
func (l Launch) Kernel() (signed *secureboot.File, ok bool) {
	switch {
	case l.Method == MethodKexec && l.Kexec != nil:
		return l.Kexec.Signed, true
	case l.Method == MethodRoot && l.Root != nil && l.Root.Boot != nil:
		return l.Root.Boot.Signed, true
	}
	return nil, false
}

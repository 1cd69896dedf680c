// Package kexec gives the running kernel another one to start, with whichever of its two system calls it has.
//
// In go the files of a kernel and an initramfs, and a command line. x86 kernels are taken by kexec_file_load(2). On arm64 Debian's
// kernel has only kexec_load(2) (CONFIG_KEXEC_FILE is not set, Debian 12): there the kernel is unpacked if it is compressed, and
// this package says where in memory everything goes ([place]), and hands on the device tree that this kernel was started with, by
// which the other finds the firmware's tables: memory map, ACPI, EFI's services.
package kexec

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ErrSegments is in errors of kexec_load(2), which a kernel that is locked down refuses whatever it is given.
var ErrSegments = errors.New("phase 1's kernel has no kexec_file_load, which looks at signatures")

// FileLoads reports whether the running kernel has kexec_file_load(2). Flags that are not defined are refused before anything is
// done (kernel/kexec_file.c).
func FileLoads() bool {
	return !errors.Is(unix.KexecFileLoad(-1, -1, "", -1), unix.ENOSYS)
}

// unloadFile takes back what kexec_file_load(2) was given.
func unloadFile() error {
	return unix.KexecFileLoad(-1, -1, "", unix.KEXEC_FILE_UNLOAD|unix.KEXEC_FILE_NO_INITRAMFS)
}

// unpackedKernel is the room an unpacked kernel asks for: 63.6 MiB in Debian 12's generic kernel for x86 (init_size in its header),
// 33.2 MiB in that for arm64 (image_size), less in smaller ones. Files don't say it before they are there, so it is taken to be this.
const unpackedKernel = 72 << 20

package kexec

import (
	"os"

	"github.com/u-root/u-root/pkg/boot/kexec"
)

// Load gives the kernel another one, with an initrd or nil, by kexec_file_load(2).
func Load(kernel, initrd *os.File, cmdline string) error {
	return kexec.FileLoad(kernel, initrd, cmdline)
}

// Unload takes back what was loaded.
func Unload() error { return unloadFile() }

// Copies is how many bytes of memory loading takes at its peak beside the files, of so many bytes. kexec_file_load(2) reads both files
// into kernel memory (kernel_read_file_from_fd, kernel/kexec_file.c), then takes pages for the segments and copies
// (kimage_load_segment, kernel/kexec_core.c): the initrd's size, and for the kernel as much as it needs unpacked. Only then the
// first copy is freed (kimage_file_post_load_cleanup).
func Copies(kernel, initrds int64) int64 { return kernel + unpackedKernel + 2*initrds }

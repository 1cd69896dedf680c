package kexec

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	"github.com/u-root/u-root/pkg/boot/kexec"
	"github.com/u-root/u-root/pkg/dt"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/bzimage"
)

// Load gives the kernel another one, with an initrd or nil. A compressed kernel is unpacked into memory first. The error is
// ErrSegments as well where the running kernel has only kexec_load(2).
func Load(kernel, initrd *os.File, cmdline string) error {
	image, err := unpack(kernel)
	if err != nil {
		return fmt.Errorf("unpack the kernel: %w", err)
	}
	if image != kernel {
		defer image.Close()
	}
	if err = kexec.FileLoad(image, initrd, cmdline); !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if err := loadSegments(image, initrd, cmdline); err != nil {
		return fmt.Errorf("%w: %w", ErrSegments, err)
	}
	return nil
}

// Copies is how many bytes of memory loading takes at its peak beside the files, of so many bytes: a compressed kernel unpacked into a
// file in memory, and the segments, which kexec_load(2) fills from the files (kimage_load_segment, kernel/kexec_core.c).
// kexec_file_load(2) reads both files into kernel memory before.
func Copies(_, initrds int64) int64 {
	if FileLoads() {
		return 3*unpackedKernel + 2*initrds
	}
	return 2*unpackedKernel + initrds
}

// Unload takes back what was loaded.
func Unload() error {
	if err := unloadFile(); !errors.Is(err, unix.ENOSYS) {
		return err
	}
	return load(0, nil)
}

// unpack returns a file in memory (memfd_create(2)) with the kernel in a compressed one, or the file itself, whatever is in that.
func unpack(kernel *os.File) (*os.File, error) {
	info, err := kernel.Stat()
	if err != nil {
		return nil, err
	}
	head := make([]byte, min(info.Size(), bzimage.HeaderSize))
	if _, err := kernel.ReadAt(head, 0); err != nil {
		return nil, err
	}
	header, err := bzimage.Parse(head)
	if err != nil || header.Payload == nil {
		return kernel, nil
	}
	content, err := header.Unpack(kernel, info.Size())
	if err != nil {
		return nil, err
	}
	defer content.Close()
	fd, err := unix.MemfdCreate("kernel", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	image := os.NewFile(uintptr(fd), "kernel")
	n, err := io.Copy(image, io.LimitReader(content, maxUnpacked+1))
	if err == nil && n > maxUnpacked {
		err = fmt.Errorf("it has more than %d MiB", maxUnpacked>>20)
	}
	if err != nil {
		return nil, errors.Join(err, image.Close())
	}
	return image, nil
}

// maxUnpacked is how many bytes of memory a compressed kernel may fill.
const maxUnpacked = 256 << 20

// loadSegments is kexec_load(2) of a kernel, an initrd or nil, and the device tree that this kernel was started with. The files are
// not copied here: the kernel reads them from where they are mapped.
func loadSegments(kernel, initrd *os.File, cmdline string) error {
	image, unmap, err := mapped(kernel)
	if err != nil {
		return err
	}
	defer unmap()
	ramdisk, unmap, err := mapped(initrd)
	if err != nil {
		return err
	}
	defer unmap()
	tree, err := dt.ReadFile("/sys/firmware/fdt")
	if err != nil {
		return fmt.Errorf("read the device tree: %w", err)
	}
	memory, err := kexec.MemoryMapFromIOMem()
	if err != nil {
		return fmt.Errorf("read the map of memory: %w", err)
	}
	segments, entry, err := place(memory, image, ramdisk, tree, cmdline)
	if err != nil {
		return err
	}
	return load(entry, segments)
}

// mapped returns the bytes of a file, by mmap(2); of nil none.
func mapped(f *os.File) (content []byte, unmap func(), err error) {
	if f == nil {
		return nil, func() {}, nil
	}
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, func() {}, err
	}
	content, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, &os.PathError{Op: "mmap", Path: f.Name(), Err: err}
	}
	return content, func() { _ = unix.Munmap(content) }, nil
}

// load is kexec_load(2): without segments it takes back what was loaded. The library's [kexec.Load] copies every segment first.
func load(entry uintptr, segments kexec.Segments) error {
	type segment struct { // struct kexec_segment of linux/kexec.h
		buf         unsafe.Pointer
		size        uint
		at, memSize uintptr
	}
	given := make([]segment, 0, max(1, len(segments)))
	for _, s := range segments {
		given = append(given, segment{unsafe.Pointer(unsafe.SliceData(s.Buf)), uint(len(s.Buf)), s.Phys.Start, uintptr(s.Phys.Size)})
	}
	_, _, errno := unix.Syscall6(unix.SYS_KEXEC_LOAD, entry, uintptr(len(given)), uintptr(unsafe.Pointer(unsafe.SliceData(given))), 0, 0, 0)
	runtime.KeepAlive(segments)
	if errno != 0 {
		return fmt.Errorf("kexec_load of %v: %w", segments.Phys(), errno)
	}
	return nil
}

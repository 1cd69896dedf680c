package medium

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	uroot "github.com/u-root/u-root/pkg/boot/kexec"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/kexec"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/secureboot"
	"github.com/boottorrent/boottorrent/internal/uki"
)

// Restart starts the medium's kernel and initramfs with another command line, by kexec. It comes back only with an error.
func (m *Medium) Restart(cmdline string) error {
	return m.restart(cmdline, kexec.Load, uroot.Reboot)
}

func (m *Medium) restart(cmdline string, load func(kernel, initrd *os.File, cmdline string) error, reboot func() error) error {
	kernel, initrd, err := m.system()
	if err != nil {
		return fmt.Errorf("the medium %s: %w", m.Device, err)
	}
	defer kernel.Close()
	defer initrd.Close()
	if err := load(kernel, initrd, cmdline); err != nil {
		return secureboot.Explain(err)
	}
	unix.Sync()
	if err := reboot(); err != nil {
		return fmt.Errorf("the kernel did not hand over: %w", err)
	}
	return errors.New("the kernel did not hand over and gave no reason")
}

// system returns the medium's kernel and initramfs as files in memory.
func (m *Medium) system() (kernel, initrd *os.File, err error) {
	k, i, err := m.parts()
	if err != nil {
		return nil, nil, err
	}
	if kernel, err = inMemory("kernel", k); err != nil {
		return nil, nil, err
	}
	if initrd, err = inMemory("initramfs", i); err != nil {
		return nil, nil, errors.Join(err, kernel.Close())
	}
	return kernel, initrd, nil
}

// parts reads kernel and initramfs: from files of their own, or out of the UEFI program where there are none.
func (m *Medium) parts() (kernel, initrd []byte, err error) {
	kernel, err = m.volume.ReadFile(image.MediumKernel, maxBootFile)
	if errors.Is(err, fs.ErrNotExist) {
		return m.unified()
	}
	if err == nil {
		initrd, err = m.volume.ReadFile(image.MediumInitramfs, maxBootFile)
	}
	return kernel, initrd, err
}

// unified reads them from the UEFI program.
func (m *Medium) unified() (kernel, initrd []byte, err error) {
	program, err := m.volume.ReadFile(bootFile, maxBootFile)
	if err != nil {
		return nil, nil, err
	}
	if kernel, err = uki.Content(program, ".linux"); err == nil {
		initrd, err = uki.Content(program, ".initrd")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", bootFile, err)
	}
	return kernel, initrd, nil
}

// inMemory makes a file in memory (memfd_create(2)).
func inMemory(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(content); err != nil {
		return nil, errors.Join(fmt.Errorf("copy the %s into memory: %w", name, err), f.Close())
	}
	return f, nil
}

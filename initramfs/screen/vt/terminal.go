package vt

import (
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// terminal is what the kernel does with a virtual terminal; tests have another one.
type terminal interface {
	io.ReadCloser
	get(request uint) (int, error)
	set(request uint, value int) error
	state() (state, error)
	switching() (mode, error)
	setSwitching(mode) error
	termios() (*unix.Termios, error)
	setTermios(*unix.Termios) error
	discard() error
}

// device is a real one.
type device struct{ *os.File }

func openTerminal(path string) (terminal, error) {
	// O_NONBLOCK lets Close end a Read.
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return device{f}, nil
}

// control runs f with the file descriptor. (os.File.Fd would make the file blocking.)
func (d device) control(f func(fd int) error) error {
	conn, err := d.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func (d device) get(request uint) (value int, err error) {
	err = d.control(func(fd int) error {
		var v int32
		err := ioctl(fd, request, unsafe.Pointer(&v))
		value = int(v)
		return err
	})
	return value, err
}

func (d device) set(request uint, value int) error {
	return d.control(func(fd int) error { return unix.IoctlSetInt(fd, request, value) })
}

func (d device) state() (s state, err error) {
	err = d.control(func(fd int) error { return ioctl(fd, vtGetState, unsafe.Pointer(&s)) })
	return s, err
}

func (d device) switching() (m mode, err error) {
	err = d.control(func(fd int) error { return ioctl(fd, vtGetMode, unsafe.Pointer(&m)) })
	return m, err
}

func (d device) setSwitching(m mode) error {
	return d.control(func(fd int) error { return ioctl(fd, vtSetMode, unsafe.Pointer(&m)) })
}

func (d device) termios() (t *unix.Termios, err error) {
	err = d.control(func(fd int) (err error) {
		t, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	return t, err
}

func (d device) setTermios(t *unix.Termios) error {
	return d.control(func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, t) })
}

func (d device) discard() error {
	return d.control(func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) })
}

func ioctl(fd int, request uint, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

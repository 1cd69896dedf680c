package selftest

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// bound opens sockets that hear one interface alone; with an empty name, all.
func bound(device string) *net.ListenConfig {
	if device == "" {
		return &net.ListenConfig{}
	}
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) }), err)
	}}
}

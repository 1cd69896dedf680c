package seederurl

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// Unreachable says, in words for a person, why nobody could be spoken to, and false if it was something else that failed. The
// errors of package net repeat the protocol and the address, which leaves no room for the reason on a screen.
func Unreachable(err error) (why string, unreachable bool) {
	var dns *net.DNSError
	var errno syscall.Errno
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return "the name " + dns.Name + " is not known", true
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing runs at that port: connection refused", true
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "it broke the connection off", true
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "nothing comes back; is it switched on, or a firewall between?", true
	case errors.As(err, &op) && errors.As(err, &errno):
		return errno.Error(), true
	}
	return "", false
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

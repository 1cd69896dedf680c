package daemon

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Whose port is taken or may not be had learns what to do, and reads it once.
func TestListenError(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EADDRINUSE:    "HTTP: TCP port 8080 of 192.0.2.1: another process has it (as root, ss -lnp --tcp 'sport = :8080' shows which): address already in use; stop it, or set another one with ports.http",
		syscall.EACCES:        "HTTP: listen tcp: bind: permission denied; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE",
		syscall.EADDRNOTAVAIL: "HTTP: listen tcp: bind: cannot assign requested address",
	} {
		err := listenError("HTTP", "ports.http", netip.MustParseAddrPort("192.0.2.1:8080"), &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", errno)})
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %q, want %q", errno, err, want)
		}
	}
}

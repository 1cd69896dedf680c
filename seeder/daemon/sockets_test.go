package daemon

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Whose port is taken or may not be had learns what to do, and reads it once.
func TestListenError(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EADDRINUSE:    "TFTP: listen udp: bind: address already in use; stop what has that port (ss -ltunp shows it), or set another one with ports.tftp",
		syscall.EACCES:        "TFTP: listen udp: bind: permission denied; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE",
		syscall.EADDRNOTAVAIL: "TFTP: listen udp: bind: cannot assign requested address",
	} {
		err := listenError("TFTP", "ports.tftp", &net.OpError{Op: "listen", Net: "udp", Err: os.NewSyscallError("bind", errno)})
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %q, want %q", errno, err, want)
		}
	}
}

// Package need says what a test cannot do without. Where it is missing the test is skipped with the reason and the
// remedy; under CI=true it fails instead, so that nothing goes untested unseen.
package need

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test may wait for what takes no time on an idle machine. It bounds a failure, and says nothing of how long
// something may take: that is for benchmarks.
const Patience = 5 * time.Minute

// Root needs the test to run as root: network namespaces, raw sockets, ports below 1024.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root; run it with sudo")
	}
}

// Command needs a program in PATH and returns its path; pkg is the Debian package that has it.
func Command(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		// Where sbin is not in a user's PATH.
		for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
			if p, err := exec.LookPath(dir + name); err == nil {
				return p
			}
		}
		missing(t, "needs the command %s; apt-get install %s (or: make deps)", name, pkg)
	}
	return path
}

// File needs a file to exist; pkg is the Debian package that has it.
func File(t testing.TB, path, pkg string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		missing(t, "needs %s; apt-get install %s (or: make deps)", path, pkg)
	}
	return path
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Port finds a TCP and UDP port of 127.0.0.1 that nobody has just now. It is none of those that the kernel gives whoever asks for no
// port in particular: such a one could be another's before the test has it.
func Port(t testing.TB) int {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(endPort-firstPort)
		if !given.ports[port] && free(port) {
			given.ports[port] = true
			return port
		}
	}
	t.Fatalf("no port of 127.0.0.1 from %d to %d is free", firstPort, endPort-1)
	return 0
}

// The ports of Port, below those of ip_local_port_range (Linux, networking/ip-sysctl: from 32768), and above most servers'.
const firstPort, endPort = 20000, 32768

// given are the ports that Port gave this process.
var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

func free(port int) bool {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return false
	}
	defer l.Close()
	c, err := net.ListenPacket("udp4", address)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

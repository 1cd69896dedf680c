// Package need says what a test cannot do without. Where it is missing the test is skipped with the reason and the
// remedy; under CI=true it fails instead, so that nothing goes untested unseen.
package need

import (
	"net"
	"os"
	"os/exec"
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

// Port finds a TCP port of 127.0.0.1 that nothing listens on just now.
func Port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

package need

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// OwnNamespaces lets a test run as a process in network, mount and host name namespaces of its own, so that it can do as it likes: it
// starts the test binary again for the one test and passes on the result. It returns true in that process; where it returns false the
// test has nothing more to do.
func OwnNamespaces(t *testing.T) bool {
	t.Helper()
	const inside = "BOOTTORRENT_TEST_INSIDE"
	if os.Getenv(inside) == t.Name() {
		// sysfs shows the interfaces of the namespace it was mounted in.
		if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("sysfs", "/sys", "sysfs", 0, "")); err != nil {
			t.Fatal(err)
		}
		return true
	}
	Namespaces(t)
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.timeout=5m", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS, Pdeathsig: syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("in its namespace: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("in its namespace:\n%s", out)
	case testing.Verbose():
		t.Logf("in its namespace:\n%s", out)
	}
	return false
}

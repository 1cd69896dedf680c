package need

import (
	"syscall"
	"testing"
)

// Descriptors needs this process, and each that it starts, to be allowed n open files.
func Descriptors(t testing.TB, n int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < uint64(n) {
		missing(t, "needs %d open files, %d are allowed; see ulimit -n", n, limit.Cur)
	}
}

package need

import (
	"os"
	"syscall"
	"testing"
)

// Script writes a program that others can execute at once. A child that another goroutine forks has the files that are open then until
// it executes its own program, and what is open for writing can't be executed (execve(2), ETXTBSY): so nothing is forked meanwhile.
func Script(t testing.TB, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte(text), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}

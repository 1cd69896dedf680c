package console

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Actions of syslog(2).
const (
	actionConsoleOff = 6
	actionConsoleOn  = 7
)

// Quiet keeps the kernel from printing its messages on the consoles, over a screen; Quiet(false) lets it again, at
// the level it had. They are in the ring buffer (dmesg) all the same. It needs root.
func Quiet(on bool) error {
	action, verb := actionConsoleOn, "let the kernel print on"
	if on {
		action, verb = actionConsoleOff, "keep the kernel from printing on"
	}
	if _, err := unix.Klogctl(action, nil); err != nil {
		return fmt.Errorf("%s the consoles: syslog(%d): %w", verb, action, err)
	}
	return nil
}

// Package kmsg writes to the kernel's log, which dmesg shows and which the kernel prints on every console, and says
// whether it may print there (Documentation/ABI/testing/dev-kmsg; syslog(2)).
package kmsg

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Level is how important a message is: the kernel prints those below its console level, which is 7 (so all but Debug)
// unless its command line says quiet (4) or loglevel=.
type Level int

// The levels that are used here.
const (
	// Error is printed on the consoles, also of a quiet kernel.
	Error Level = 3
	// Debug is only kept for dmesg.
	Debug Level = 7
)

// maxLine is how many bytes of a line are written. The kernel refuses a message of more than LOG_LINE_MAX, 976 bytes
// (kernel/printk/printk.c).
const maxLine = 900

// Log is the kernel's log, open for writing. A nil Log drops everything.
type Log struct{ to io.Writer }

// Open opens the kernel's log.
func Open() (*Log, error) {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open the kernel's log: %w", err)
	}
	return &Log{f}, nil
}

// Print writes a text, each of its lines a message of its own. What the kernel refuses is lost.
func (l *Log) Print(level Level, text string) {
	if l == nil {
		return
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		// One write is one message.
		fmt.Fprintf(l.to, "<%d>boottorrent: %s\n", level, line[:min(len(line), maxLine)])
	}
}

// Actions of syslog(2).
const (
	actionConsoleOff = 6
	actionConsoleOn  = 7
)

// Quiet keeps the kernel from printing its messages on the consoles, over a screen; Quiet(false) lets it again, at
// the level it had. They are in its log all the same. It needs root.
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

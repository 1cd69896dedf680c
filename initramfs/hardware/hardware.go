// Package hardware brings a machine's devices to life and says what machine it is.
//
// In goes what the kernel shows in sysfs and the modules in the image; out come loaded drivers ([Load], [Probe]), the
// network interfaces they made ([NICs]), the network devices nobody drives ([Undriven]) and the machine's [Facts].
//
// A device tells its modalias (Documentation/ABI/testing/sysfs-bus-…, "modalias"); modules.alias, written by depmod(8),
// has the patterns which modules claim. That is what udev and modprobe do on a full system; here u-root's pkg/kmodule
// loads a module and what it depends on, and this package does the matching, which kmodule leaves to others.
package hardware

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// Log takes one message for the node's log.
type Log func(format string, args ...any)

// tree is where the kernel's and the image's files are found; tests have one of their own.
type tree string

// running is the tree of the machine this runs on.
const running tree = "/"

func (t tree) path(elem ...string) string {
	return filepath.Join(append([]string{string(t)}, elem...)...)
}

// line reads a file of one line; empty if there is none or it can't be read, as with many files of sysfs.
func (t tree) line(elem ...string) string {
	b, err := os.ReadFile(t.path(elem...))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(bytes.TrimRight(b, "\x00")))
}

// resolve follows the links in a path below the root; a broken one is returned as it is.
func (t tree) resolve(p string) string {
	real, err := filepath.EvalSymlinks(t.path(p))
	if err != nil {
		return p
	}
	return strings.TrimPrefix(real, strings.TrimSuffix(string(t), "/"))
}

// glob returns the paths below the tree's root that match, without the root.
func (t tree) glob(pattern string) []string {
	// The only error is a bad pattern, and ours are constants.
	found, _ := filepath.Glob(t.path(pattern))
	for i, f := range found {
		found[i] = strings.TrimPrefix(f, strings.TrimSuffix(string(t), "/"))
	}
	return found
}

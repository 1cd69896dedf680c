// Package root mounts a system of the method root and prepares that init becomes its first program.
package root

import "github.com/boottorrent/boottorrent/internal/catalog"

// Job is one system about to be mounted.
type Job struct {
	System catalog.System
	// Dir is the folder with the system's images, below their paths.
	Dir string
	// Cmdline is what the system is to read as its kernel command line, with the placeholders filled in.
	Cmdline string
	// Memory is all of the machine's, in bytes, of which catalog.Root.WritableLimit may be a share.
	Memory int64
	// Log takes messages for the node's log; nil for none.
	Log func(format string, args ...any)
}

// Package version tells which release a program was built from.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Release is the version of this source tree; make sets it to the git description with -ldflags -X.
var Release = "devel"

// Revision is the commit of the source that the program was built from, as git names it; empty if it isn't known.
func Revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}

// String returns one line: program, release, source revision if known, and the Go it was built with.
func String(program string) string {
	revision := ""
	if r := Revision(); r != "" {
		revision = " (" + r[:min(12, len(r))] + ")"
	}
	return fmt.Sprintf("%s %s%s, %s %s/%s", program, Release, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Package version tells which release a program was built from.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Release is the version of this source tree; make sets it to the git description with -ldflags -X.
var Release = "devel"

// String returns one line: program, release, source revision if known, and the Go it was built with.
func String(program string) string {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " (" + s.Value[:min(12, len(s.Value))] + ")"
			}
		}
	}
	return fmt.Sprintf("%s %s%s, %s %s/%s", program, Release, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

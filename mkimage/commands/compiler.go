package commands

import (
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// Go's linker leaves out methods that nobody calls, unless something reachable looks methods up by a name or number unknown to it
// (reflect.Type.Method, MethodByName): then all exported ones of all types stay, which is a fifth of the program. So a module that
// does such a thing is replaced in go.mod, or not used; -ldflags=-dumpdep shows what does, as "<ReflectMethod>".

// tags are Go build tags. noboltdb leaves out a database of the torrent library, which internal/swarm has no use for;
// nethttpomithttp2 leaves HTTP/2 out of net/http, which it only speaks over TLS, and nodes speak HTTP/1.1 without: 53 KB.
var tags = []string{"noboltdb", "nethttpomithttp2"}

// goFlags are the settings of the compiler and linker beside those of inlining.go.
var goFlags = []string{"-trimpath", "-buildvcs=false"}

// linkerFlags strip the program of symbols, debug information and build ID.
const linkerFlags = "-s -w -buildid="

// level is the oldest machine of an architecture that programs run on, any 64-bit one, as a setting of the compiler.
func level(a arch.Arch) string {
	if a == arch.ARM64 {
		return "GOARM64=v8.0"
	}
	return "GOAMD64=v1"
}

// versionPackage has the variable Release.
const versionPackage = Module + "/internal/version"

// Compiler returns how the node's program is compiled for an architecture: the flags of go build that decide what becomes of its
// packages, and the variables of the environment that do. release is the version the program says it is; it may be empty.
//
// [Plan.Build] takes them from here, and so does the benchmark (integration/bench), which would measure another program otherwise.
func Compiler(a arch.Arch, release string) (flags, env []string) {
	link := linkerFlags
	if release != "" {
		link += " -X " + versionPackage + ".Release=" + release
	}
	flags = slices.Concat([]string{"-tags=" + strings.Join(tags, ","), "-ldflags=" + link}, goFlags, inlining())
	return flags, []string{"GOOS=linux", "GOARCH=" + string(a), level(a), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local"}
}

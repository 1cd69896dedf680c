// Package commands builds the programs of phase 1: BootTorrent's own below cmds/ and those of u-root that a person needs
// in the shell of a node in trouble, all in one static binary in the manner of busybox (u-root's gobusybox).
//
// In goes a checkout of this module ([FindSource]); [List] says what would be built and of which sources, cheaply, so
// that a build can be spared; [Plan.Build] compiles. The result depends on the sources, the Go version and the settings
// in this package alone, not on the folder, the user or the time.
package commands

import (
	"path"
	"slices"

	"github.com/boottorrent/boottorrent/internal/program"
)

// Module is the path of this module.
const Module = "github.com/boottorrent/boottorrent"

// own are the patterns of BootTorrent's commands, relative to the source.
const own = "./cmds/..."

// Shell is the command, one of our own, that /bin/sh is.
const Shell = "gosh"

// fromURoot are the commands taken from u-root.
var fromURoot = packages(program.URoot)

func packages(commands []string) []string {
	paths := make([]string, len(commands))
	for i, c := range commands {
		paths[i] = "github.com/u-root/u-root/cmds/" + c
	}
	return paths
}

// Go's linker leaves out methods that nobody calls, unless something reachable looks methods up by a name or number unknown to it
// (reflect.Type.Method, MethodByName): then all exported ones of all types stay, which is a fifth of the program. So a module that
// does such a thing is replaced in go.mod, or not used; -ldflags=-dumpdep shows what does, as "<ReflectMethod>".

// tags are Go build tags. noboltdb leaves out a database of the torrent library, which internal/swarm has no use for;
// nethttpomithttp2 leaves HTTP/2 out of net/http, which it only speaks over TLS, and nodes speak HTTP/1.1 without: 53 KB.
var tags = []string{"noboltdb", "nethttpomithttp2"}

// goFlags are the settings of the compiler and linker. Functions are not inlined, which makes the compressed program 17 %
// smaller; what costs time in a node is SHA-1, SHA-256 and copying, which are assembly.
var goFlags = []string{
	"-trimpath", "-buildvcs=false", "-gcflags=all=-l",
}

// linkerFlags strip the program of symbols, debug information and build ID.
const linkerFlags = "-s -w -buildid="

// names returns the commands' names, sorted.
func names(packages []string) []string {
	var n []string
	for _, p := range packages {
		n = append(n, path.Base(p))
	}
	slices.Sort(n)
	return n
}

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

// names returns the commands' names, sorted.
func names(packages []string) []string {
	var n []string
	for _, p := range packages {
		n = append(n, path.Base(p))
	}
	slices.Sort(n)
	return n
}

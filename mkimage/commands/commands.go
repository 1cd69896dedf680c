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
)

// Module is the path of this module.
const Module = "github.com/boottorrent/boottorrent"

// own are the patterns of BootTorrent's commands, relative to the source.
const own = "./cmds/..."

// Shell is the command, one of our own, that /bin/sh is.
const Shell = "gosh"

const uroot = "github.com/u-root/u-root/cmds/"

// fromURoot are the commands taken from u-root: looking at the machine (dmesg, lsmod, pci, ip, ps, free), trying the
// network (ping, wget), and what no shell is usable without. Each costs 2 to 20 KB of the image, as what they
// stand on is there anyway. strace, sshd and dhclient would be ten times that.
var fromURoot = []string{
	uroot + "core/cat",
	uroot + "core/chmod",
	uroot + "core/cp",
	uroot + "core/date",
	uroot + "core/df",
	uroot + "core/dmesg",
	uroot + "core/du",
	uroot + "core/find",
	uroot + "core/free",
	uroot + "core/grep",
	uroot + "core/gzip",
	uroot + "core/head",
	uroot + "core/hexdump",
	uroot + "core/hostname",
	uroot + "core/id",
	uroot + "core/insmod",
	uroot + "core/ip",
	uroot + "core/kill",
	uroot + "core/ln",
	uroot + "core/ls",
	uroot + "core/lsmod",
	uroot + "core/mkdir",
	uroot + "core/mknod",
	uroot + "core/more",
	uroot + "core/mount",
	uroot + "core/mv",
	uroot + "core/pci",
	uroot + "core/ping",
	uroot + "core/poweroff",
	uroot + "core/ps",
	uroot + "core/rm",
	uroot + "core/rmmod",
	uroot + "core/shasum",
	uroot + "core/shutdown",
	uroot + "core/sleep",
	uroot + "core/sort",
	uroot + "core/stty",
	uroot + "core/sync",
	uroot + "core/tail",
	uroot + "core/tar",
	uroot + "core/umount",
	uroot + "core/uname",
	uroot + "core/uptime",
	uroot + "core/wc",
	uroot + "core/wget",
	uroot + "core/which",
	uroot + "exp/modprobe",
}

// Go's linker leaves out methods that nobody calls, unless something reachable looks methods up by a name or number unknown to it
// (reflect.Type.Method, MethodByName): then all exported ones of all types stay, which is a fifth of the program. So a module that
// does such a thing is replaced in go.mod, or not used; -ldflags=-dumpdep shows what does, as "<ReflectMethod>".

// tags are Go build tags. noboltdb leaves out a database of the torrent library, which internal/swarm has no use for.
var tags = []string{"noboltdb"}

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

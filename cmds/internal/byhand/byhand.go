// Package byhand runs single steps of a boot as commands, for the shell of a node in trouble.
package byhand

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/node"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Main runs one step as a command, for the shell of a node in trouble: it sets up a node, does the work, and exits with
// 1 and the error on standard error if that fails.
func Main(name, synopsis string, work func(ctx context.Context, n *node.Node, args []string) error) {
	for _, a := range os.Args[1:] {
		if a == "-h" || a == "--help" || a == "-help" {
			fmt.Println("usage:", synopsis)
			return
		}
	}
	ctx := context.Background()
	n, err := node.SetupByHand(ownConsole)
	if err == nil {
		err = work(ctx, n, os.Args[1:])
		n.Drain(ctx)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// ownConsole is the terminal that the command was started on: the others are shown to others, by boot.
func ownConsole() (*console.Set, error) {
	for _, fd := range []int{unix.Stdin, unix.Stderr, unix.Stdout} {
		path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if _, notTTY := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil || notTTY != nil {
			continue
		}
		if name, ok := strings.CutPrefix(path, "/dev/"); ok {
			c := console.Named(name)
			c.Term = cmp.Or(os.Getenv("TERM"), c.Term)
			return console.NewSet(c)
		}
	}
	return nil, errors.New("this command shows screens and so needs a terminal; with ssh, ask for one by ssh -t")
}

// System returns the system that a command's only argument names, from a fresh catalog.
func System(ctx context.Context, n *node.Node, args []string) (catalog.System, error) {
	if err := n.Resume(); err != nil {
		return catalog.System{}, err
	}
	cat, err := n.Catalog(ctx)
	if err != nil {
		return catalog.System{}, err
	}
	var names []string
	for _, s := range cat.Systems {
		names = append(names, s.Name)
	}
	if len(args) != 1 {
		return catalog.System{}, errors.New("want the name of one system: " + strings.Join(names, ", "))
	}
	if sys, ok := cat.System(args[0]); ok {
		return sys, nil
	}
	return catalog.System{}, fmt.Errorf("the catalog has no system %q; it has %s", args[0], strings.Join(names, ", "))
}

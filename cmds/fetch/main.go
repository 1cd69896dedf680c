// Fetch downloads a system from the swarm and verifies it.
//
// Synopsis:
//
//	fetch NAME
//
// Description:
//
// It needs the network: see netup. Progress is shown on every console; at the end it prints where the files are. Systems
// that were fetched before are removed, as a node's memory holds one.
package main

import (
	"context"
	"fmt"

	"github.com/boottorrent/boottorrent/cmds/internal/byhand"
	"github.com/boottorrent/boottorrent/initramfs/node"
)

func main() {
	byhand.Main("fetch", "fetch NAME", func(ctx context.Context, n *node.Node, args []string) error {
		sys, err := byhand.System(ctx, n, args)
		if err != nil {
			return err
		}
		err = n.Fetch(ctx, sys)
		n.Drain(ctx) // the screen ends before the folder is printed
		if err == nil {
			fmt.Println(n.Folder(sys))
		}
		return err
	})
}

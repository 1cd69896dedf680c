// Fetch downloads a system from the swarm and verifies it.
//
// Synopsis:
//
//	fetch NAME
//
// The files are below /systems afterwards. It needs the network: see netup.
package main

import (
	"context"

	"github.com/boottorrent/boottorrent/initramfs/node"
)

func main() {
	node.Main("fetch", "fetch NAME", func(ctx context.Context, n *node.Node, args []string) error {
		sys, err := n.ByName(ctx, args)
		if err != nil {
			return err
		}
		return n.Fetch(ctx, sys)
	})
}

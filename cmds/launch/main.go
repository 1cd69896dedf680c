// Launch fetches a system, if it isn't there yet, and starts it. It does not return unless that fails.
//
// Synopsis:
//
//	launch NAME
//
// Description:
//
// It needs the network: see netup. Files that fetch has left are verified and used.
package main

import (
	"context"

	"github.com/boottorrent/boottorrent/cmds/internal/byhand"
	"github.com/boottorrent/boottorrent/initramfs/node"
)

func main() {
	byhand.Main("launch", "launch NAME", func(ctx context.Context, n *node.Node, args []string) error {
		sys, err := byhand.System(ctx, n, args)
		if err != nil {
			return err
		}
		if err := n.Fetch(ctx, sys); err != nil {
			return err
		}
		_, err = n.Launch(ctx, sys) // what follows is for a boot; this was by hand
		return err
	})
}

// Choose shows the chooser on every console and prints the name of the system that was chosen.
//
// Synopsis:
//
//	choose
//
// Description:
//
// It needs the network: see netup. Nothing is printed when something else than a system was chosen.
//
// Example:
//
//	launch $(choose)
package main

import (
	"context"
	"fmt"

	"github.com/boottorrent/boottorrent/cmds/internal/byhand"
	"github.com/boottorrent/boottorrent/initramfs/node"
)

func main() {
	byhand.Main("choose", "choose", func(ctx context.Context, n *node.Node, _ []string) error {
		if err := n.Resume(); err != nil {
			return err
		}
		cat, err := n.Catalog(ctx)
		if err != nil {
			return err
		}
		choice, err := n.Choose(ctx, cat, true)
		n.Drain(ctx) // the screen ends before the name is printed
		if err == nil && choice.System != "" {
			fmt.Println(choice.System)
		}
		return err
	})
}

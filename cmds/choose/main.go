// Choose shows the chooser and prints the name of the system that was chosen.
//
// Synopsis:
//
//	choose
//
// It needs the network: see netup.
package main

import (
	"context"
	"fmt"

	"github.com/boottorrent/boottorrent/initramfs/node"
)

func main() {
	node.Main("choose", "choose", func(ctx context.Context, n *node.Node, args []string) error {
		if err := n.Resume(ctx); err != nil {
			return err
		}
		cat, err := n.Catalog(ctx)
		if err != nil {
			return err
		}
		choice, err := n.Choose(ctx, cat, true)
		if err == nil && choice.System != "" {
			fmt.Println(choice.System)
		}
		return err
	})
}

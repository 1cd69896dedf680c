// Netup brings up the network and finds the seeder, as the boot does, and writes down what it found for the commands
// choose, fetch and launch.
//
// Synopsis:
//
//	netup
package main

import (
	"context"

	"github.com/boottorrent/boottorrent/initramfs/node"
)

func main() {
	node.Main("netup", "netup", func(ctx context.Context, n *node.Node, args []string) error {
		for _, step := range []func(context.Context) error{n.Hardware, n.Network, n.Discover} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// Netup brings up the network and finds the seeder, as the boot does.
//
// Synopsis:
//
//	netup
//
// Description:
//
// It says on every console what it finds: drivers, link, address, seeder. For the commands choose, fetch and launch it
// writes that down in /run/boottorrent/state.json. The lease is not renewed once it has ended.
package main

import (
	"context"

	"github.com/boottorrent/boottorrent/cmds/internal/byhand"
	"github.com/boottorrent/boottorrent/initramfs/node"
)

func main() {
	byhand.Main("netup", "netup", func(ctx context.Context, n *node.Node, _ []string) error {
		for _, step := range []func(context.Context) error{n.Hardware, n.Network, n.Discover} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

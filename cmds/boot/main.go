// Boot takes a node from bare hardware to the system somebody chose.
//
// Synopsis:
//
//	boot
//
// Description:
//
// It loads drivers, brings up the network, finds the seeder, reads and verifies the catalog, shows the chooser on every
// console, fetches the chosen system from the swarm, seeds it for a while, and starts it. Init runs it at start; from a
// shell it does the same once more. What it needs to know is on the kernel command line and in /etc/boottorrent/site.json.
//
// Exit codes: 10 to reboot, 11 to power off, 1 if it can't even begin.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/node"
)

func main() { os.Exit(run(context.Background())) }

func run(ctx context.Context) int {
	n, err := node.Setup()
	if err != nil {
		fmt.Fprintln(os.Stderr, "boot:", err)
		return 1
	}
	n.Log("BootTorrent node of the site %q", n.Image.Site)
	if err := console.Quiet(true); err != nil {
		n.Log("the kernel's messages will show on the screens: %v", err)
	}
	if n.Cmdline.Shell {
		n.Log("bt.shell: the boot goes on when the shell ends")
		n.Shell(ctx)
	}
	if boot.Run(ctx, n, n.Report) == boot.PowerOff {
		n.Log("powering off")
		return boot.ExitPowerOff
	}
	n.Log("rebooting")
	return boot.ExitReboot
}

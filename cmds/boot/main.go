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
// shell it does the same once more. What it needs to know is on the kernel command line and in /etc/boottorrent/site.json,
// and on a machine that was started from a stick or disc in boottorrent.conf there.
//
// Alt+F2 shows a second console with a shell.
//
// Exit codes: 10 to reboot, 11 to power off, 12 to become a system's init (package root), 1 if it can't even begin.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/kmsg"
	"github.com/boottorrent/boottorrent/initramfs/node"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/internal/version"
)

func main() { os.Exit(run(context.Background())) }

func run(ctx context.Context) int {
	n, err := node.Setup()
	if err != nil {
		complain(err)
		return 1
	}
	quietErr := kmsg.Quiet(true) // before the first line, which the kernel's messages would tear
	n.Log("BootTorrent %s, node of the site %q", version.Release, n.Image.Site)
	if quietErr != nil {
		n.Log("the kernel's messages will show on the screens: %v", quietErr)
	}
	for _, w := range n.Warnings {
		n.Log("kernel command line: %s", w)
	}
	swarm.FitProcessors(ctx)
	go n.SecondConsole(ctx)
	go n.ServeSSH(ctx)
	if n.Cmdline.Shell {
		n.Log("bt.shell: the boot goes on when the shell ends")
		n.Shell(ctx)
	}
	code, last := boot.ExitReboot, "rebooting"
	switch boot.Run(ctx, n, n.Report, n.Orders()) {
	case decision.PowerOff:
		code, last = boot.ExitPowerOff, "powering off"
	case decision.Switch:
		code, last = boot.ExitSwitch, "the system's init takes over"
	}
	n.Log("%s", last)
	n.Flush(ctx)
	n.Drain(ctx)
	return code
}

// complain shows, by way of the kernel, on every console why there is no node to show it.
func complain(err error) {
	kernel, openErr := kmsg.Open()
	if openErr != nil {
		fmt.Fprintln(os.Stderr, "boot:", err)
		return
	}
	kernel.Print(kmsg.Error, err.Error())
}

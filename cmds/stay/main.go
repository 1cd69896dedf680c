// Stay is the process that stays when a system of the method root has taken the node over: it gives the system's images away as
// long as that runs.
//
// Synopsis:
//
//	stay
//
// Description:
//
// Init starts it, as "@boottorrent", before it becomes the system's init, and nobody else has a use for it. It reads
// /run/boottorrent/stay.json, and writes /run/boottorrent/status.json.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/boottorrent/boottorrent/initramfs/kmsg"
	"github.com/boottorrent/boottorrent/initramfs/stay"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

func main() {
	inherited, err := stay.Inherited()
	if err != nil {
		fmt.Fprintln(os.Stderr, "stay:", err)
		os.Exit(2)
	}
	settled := stay.Settle(stay.Program)
	kernel, err := kmsg.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, "stay:", err)
	}
	log := func(format string, args ...any) { kernel.Print(kmsg.Debug, fmt.Sprintf(format, args...)) }
	if settled != nil {
		log("the process that stays: %v", settled)
	}
	if inherited.Group, err = stay.JoinGroup(); err != nil {
		log("the process that stays: %v", err)
	}
	swarm.FitProcessors(context.Background())
	if err := stay.Run(context.Background(), inherited, ".", "/", log); err != nil {
		kernel.Print(kmsg.Error, "nothing is given away: "+err.Error())
		os.Exit(1)
	}
}

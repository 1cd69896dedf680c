package stay

import (
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/helper"
	"github.com/boottorrent/boottorrent/initramfs/seen"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// leftFree is what the system has to have free beside phase 1, if that is given away here. It may want it at any time.
const leftFree = 128 << 20

// startHelper has phase 1 given away, if the seeder asks for that, from the address of now and by the engine of now.
func (g *Giver) startHelper() {
	address, engine := g.address, g.engine
	h := helper.New(helper.Config{
		Seeder: g.seeders.Client, Newest: g.newest, Room: room,
		Address: func() netip.Addr { return address },
		Engine:  func() (*swarm.Engine, func(), error) { return engine, func() {}, nil },
		Dir:     filepath.Join(g.Dir, ".phase1"), Report: g.report, Log: g.Log,
	})
	h.Resume()
	g.helper.Store(h)
}

// stopHelper ends that.
func (g *Giver) stopHelper() {
	if h := g.helper.Swap(nil); h != nil {
		h.Stop("its address has changed")
	}
}

// askHelp is told what the seeder asks for.
func (g *Giver) askHelp(asked string) {
	if h := g.helper.Load(); h != nil {
		h.Ask(asked)
	}
}

// newest refuses a catalog that is older than the one that boot took.
func (g *Giver) newest(counter uint64, base string) error {
	if counter < g.Plan.Counter {
		return &seen.OldError{Seen: g.Plan.Counter, Offered: counter, Seeder: base}
	}
	return nil
}

// room says, by an error, that the system needs the memory.
func room(bytes int64) error {
	meminfo, err := readProc("meminfo")
	if err != nil {
		return err
	}
	free, err := hardware.Available(string(meminfo))
	if err == nil && free < bytes+leftFree {
		err = fmt.Errorf("too little memory: phase 1 takes %d MiB, and %d MiB stay free for the system; %d MiB are free", bytes>>20, leftFree>>20, free>>20)
	}
	return err
}

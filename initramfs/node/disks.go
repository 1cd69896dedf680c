package node

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/efiboot"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/local"
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/diskmodules"
)

const (
	// disksCalm is for how long no new disk may appear before the disks are taken for complete, disksMost how long is waited for the first:
	// a controller of a server wakes its disks one after the other.
	disksCalm = 700 * time.Millisecond
	disksMost = 8 * time.Second
	// disksLook is how often it is looked.
	disksLook = 50 * time.Millisecond
)

// disks is what the node has of its own disks' drivers.
type disks struct {
	// drivers is nil until they are loaded; lacking says why there are none.
	drivers *hardware.Drivers
	lacking string
}

// diskRuntime is the runtime with the drivers of disks for this machine.
func (n *Node) diskRuntime() (catalog.Runtime, bool) {
	return n.session.catalog.Runtime(diskmodules.For(arch.Arch(n.Facts.Arch)))
}

// fetchDisks fetches the drivers of disks, unless they are loaded. Where there are none the firmware can start the disk all the same.
func (n *Node) fetchDisks(ctx context.Context, sys catalog.System) error {
	r, ok := n.diskRuntime()
	if !ok || n.disks.drivers != nil {
		return n.download.forget()
	}
	if err := n.download.forget(r.System); err != nil {
		return err
	}
	if err := n.download.startEngine(); err != nil {
		return err
	}
	return n.fetch(ctx, sys.Name, r.System)
}

// loadDisks unpacks the drivers of disks and loads those that this machine needs.
func (n *Node) loadDisks(ctx context.Context) {
	if n.disks.drivers == nil {
		drivers, err := n.openDisks(ctx)
		if err != nil {
			n.disks.lacking = err.Error()
			n.Log("the drivers of disks can't be loaded: %v", err)
			return
		}
		n.disks.drivers, n.disks.lacking = drivers, ""
	}
	n.awaitDisks(ctx)
}

func (n *Node) openDisks(ctx context.Context) (*hardware.Drivers, error) {
	r, ok := n.diskRuntime()
	if !ok {
		return nil, fmt.Errorf("the site has none for this machine: run mkimage for it again")
	}
	if err := n.download.clearScratch(); err != nil {
		return nil, err
	}
	dir := filepath.Join(n.download.systems, "drivers")
	if err := launch.UnpackRuntime(ctx, filepath.Join(n.download.folder(r.System), diskmodules.Archive), dir, r.Unpacked); err != nil {
		return nil, err
	}
	return hardware.OpenDrivers(dir, n.Log)
}

// awaitDisks loads drivers until no more disks appear.
func (n *Node) awaitDisks(ctx context.Context) {
	began, changed := time.Now(), time.Now()
	named := append(slices.Clone(diskmodules.FileSystems), "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8", "sd_mod", "mmc_block", "efivarfs")
	n.disks.drivers.Settle(named...)
	var before []string
	for ctx.Err() == nil {
		n.disks.drivers.Settle()
		now := local.Present()
		if !slices.Equal(now, before) {
			before, changed = now, time.Now()
		}
		if len(now) > 0 && time.Since(changed) > disksCalm || time.Since(began) > disksMost {
			return
		}
		sleep(ctx, disksLook)
	}
}

// firmwareOptions are the boot options of UEFI that lead to a disk of this machine. The error says that the firmware can't be asked.
func (n *Node) firmwareOptions(found *local.Found) ([]efiboot.Option, error) {
	if err := efiboot.Mount(); err != nil {
		return nil, err
	}
	options, err := efiboot.Options(efiboot.Folder)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(options, func(o efiboot.Option) bool {
		elsewhere := o.Partition != nil && len(found.Partitions) > 0 && !found.Has(o.Partition.Number, o.Partition.Start)
		return !o.Disk || elsewhere
	}), nil
}

package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	// framebuffer is the frame buffer's device.
	framebuffer = "/dev/fb0"
	// scratchDir is the folder, beside the systems, of what a running system writes.
	scratchDir = "scratch"
)

// guestJob prepares what a method that doesn't leave needs.
func (n *Node) guestJob(sys catalog.System) (launch.Job, error) {
	job := launch.Job{
		System: sys, Dir: n.Folder(sys), Vars: n.vars(sys), Log: n.Log, Scratch: n.scratch(),
		Framebuffer: n.screen() != "" && canOpen(framebuffer),
	}
	if r, ok := n.runtime(sys); ok {
		job.Runtime = n.Folder(r.System)
	}
	if err := n.clearScratch(); err != nil {
		return job, err
	}
	if err := os.MkdirAll(job.Scratch, 0o755); err != nil {
		return job, fmt.Errorf("make a folder for what %s writes: %w", sys.Title, err)
	}
	return job, nil
}

func canOpen(device string) bool {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err == nil {
		f.Close()
	}
	return err == nil
}

// scratch is where a running system writes.
func (n *Node) scratch() string { return filepath.Join(n.Systems, scratchDir) }

// clearScratch takes away what a system wrote, with what is still mounted there: a boot that was killed could not do it.
func (n *Node) clearScratch() error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(n.scratch()))
	if err == nil {
		slices.Reverse(mounts) // what was mounted last goes first
		err = unmountAll(mounts)
	}
	if err == nil { // otherwise removing would be removing what is mounted
		err = os.RemoveAll(n.scratch())
	}
	if err != nil {
		return fmt.Errorf("clear up what an earlier system wrote: %w", err)
	}
	return nil
}

// unmountAll unmounts; what is still open there, by a process that can't be killed, ends with that.
func unmountAll(mounts []*mountinfo.Info) error {
	var errs []error
	for _, m := range mounts {
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", m.Mountpoint, err))
		}
	}
	return errors.Join(errs...)
}

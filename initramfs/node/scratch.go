package node

import (
	"errors"
	"fmt"
	"os"

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
		System: sys, Dir: n.download.folder(sys), Vars: n.vars(sys), Log: n.Log, Scratch: n.download.scratch(),
		Framebuffer: n.screen() != "" && canOpen(framebuffer),
	}
	if r, ok := n.download.runtime(sys); ok {
		job.Runtime = n.download.folder(r.System)
	}
	if err := n.download.clearScratch(); err != nil {
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

package node

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	// framebuffer is the frame buffer's device.
	framebuffer = "/dev/fb0"
	// scratchDir is the folder, beside the systems, of what a running system writes.
	scratchDir = "scratch"
	// mountsPath lists what is mounted: proc(5), /proc/PID/mountinfo.
	mountsPath = "/proc/self/mountinfo"
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

// mountsBelow lists what is mounted at a folder and below it, what was mounted last first.
func mountsBelow(mountinfo, dir string) []string {
	var found []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if path := unescape(fields[4]); path == dir || strings.HasPrefix(path, dir+"/") {
			found = append(found, path)
		}
	}
	slices.Reverse(found)
	return found
}

// unescape undoes what the kernel does to spaces and the like in a path: \040.
func unescape(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+4 <= len(path) {
			if c, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// unmountAll unmounts; what is still open there, by a process that can't be killed, ends with that.
func unmountAll(paths []string) error {
	var errs []error
	for _, path := range paths {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/hardware"
)

// workspace is a guest's working directory: it shows the system's files, and takes what is written to them or beside them
// elsewhere, so that what is being seeded stays as it is.
type workspace struct {
	// dir is the working directory.
	dir string
	// temp is a folder for temporary files, within the same limit of size.
	temp string
	// readOnly says that dir takes nothing.
	readOnly bool

	mu      sync.Mutex
	mounted []string // in order
	made    []string // folders, in order
}

// newWorkspace mounts a workspace of which a guest can fill size bytes of memory:
//
//	SCRATCH/written   a tmpfs of that size, with upper, work (overlayfs's) and temp
//	SCRATCH/system    overlayfs (Documentation/filesystems/overlayfs.rst): upper over the system's folder
//
// The error wraps errNoOverlay where there is no overlayfs.
func newWorkspace(job Job, size int64) (w *workspace, err error) {
	w = &workspace{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
			w = nil
		}
	}()
	written := filepath.Join(job.Scratch, "written")
	if err := w.mkdir(written); err != nil {
		return w, err
	}
	options := fmt.Sprintf("mode=700,size=%d", size)
	if err := w.mount("tmpfs", written, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		return w, err
	}
	upper, work := filepath.Join(written, "upper"), filepath.Join(written, "work")
	w.dir, w.temp = filepath.Join(job.Scratch, "system"), filepath.Join(written, "temp")
	for _, dir := range []string{upper, work, w.temp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return w, err
		}
	}
	if err := w.mkdir(w.dir); err != nil {
		return w, err
	}
	if err := w.overlay(job.Dir, upper, work); err != nil {
		return w, fmt.Errorf("%w: %w", errNoOverlay, err)
	}
	return w, nil
}

// errNoOverlay says that a working directory that takes writes could not be made.
var errNoOverlay = errors.New("what it writes can't be kept apart from what is being seeded")

// readOnlyWorkspace is newWorkspace without overlayfs: the files can only be read, and only temp takes writes.
func readOnlyWorkspace(job Job, size int64) (w *workspace, err error) {
	w = &workspace{readOnly: true, dir: filepath.Join(job.Scratch, "system"), temp: filepath.Join(job.Scratch, "written")}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
			w = nil
		}
	}()
	for _, dir := range []string{w.dir, w.temp} {
		if err := w.mkdir(dir); err != nil {
			return w, err
		}
	}
	options := fmt.Sprintf("mode=700,size=%d", size)
	if err := w.mount("tmpfs", w.temp, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		return w, err
	}
	if err := w.mount(job.Dir, w.dir, "", unix.MS_BIND, ""); err != nil {
		return w, err
	}
	// The kernel wants the flag in a second step (mount(2), "Creating a bind mount").
	if err := unix.Mount("", w.dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return w, fmt.Errorf("make %s read-only: %w", w.dir, err)
	}
	return w, nil
}

func (w *workspace) mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make a working directory: %w", err)
	}
	w.made = append(w.made, dir)
	return nil
}

func (w *workspace) mount(source, target, kind string, flags uintptr, options string) error {
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	w.mounted = append(w.mounted, target)
	return nil
}

// overlay mounts overlayfs on w.dir.
func (w *workspace) overlay(lower, upper, work string) error {
	// A path may have commas and colons in it, which mean something in these options; a number has none.
	names := make([]any, 0, 3)
	for _, dir := range []string{lower, upper, work} {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: dir, Err: err}
		}
		defer unix.Close(fd)
		names = append(names, "/proc/self/fd/"+strconv.Itoa(fd))
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", names...)
	err := w.mount("overlay", w.dir, "overlay", unix.MS_NODEV, options)
	if !errors.Is(err, unix.ENODEV) {
		return err
	}
	if probeErr := hardware.Probe("overlay"); probeErr != nil {
		return fmt.Errorf("%w: the kernel has no overlayfs: %w", err, probeErr)
	}
	return w.mount("overlay", w.dir, "overlay", unix.MS_NODEV, options)
}

// close unmounts everything and removes the folders. It can be repeated.
func (w *workspace) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for i := len(w.mounted) - 1; i >= 0; i-- {
		// Detached: what is still open there, by a process that can't be killed, ends with that.
		if err := unix.Unmount(w.mounted[i], unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", w.mounted[i], err))
		}
	}
	if len(errs) == 0 { // otherwise removing would be removing what is mounted
		for i := len(w.made) - 1; i >= 0; i-- {
			if err := os.Remove(w.made[i]); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		w.mounted, w.made = nil, nil
	}
	return errors.Join(errs...)
}

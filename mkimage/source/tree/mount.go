package tree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mounted is a file system that is mounted for this process alone: it stands at no path, and goes when its descriptor is closed or
// the process ends, however it does.
type mounted struct {
	fd   int
	loop *os.File
}

// mountImage mounts a file system that is in a file, from offset on, read-only. It needs root and a free loop device. size 0 is up to the
// end of the file.
func mountImage(ctx context.Context, image, fs string, offset, size int64) (*mounted, error) {
	loop, err := attach(ctx, image, offset, size)
	if err != nil {
		return nil, err
	}
	fd, err := mountDetached(loop.Name(), fs)
	if err != nil {
		return nil, errors.Join(err, loop.Close())
	}
	return &mounted{fd, loop}, nil
}

// dir is a path to the root of what is mounted.
func (m *mounted) dir() string { return fmt.Sprintf("/proc/self/fd/%d/.", m.fd) }

func (m *mounted) Close() error { return errors.Join(unix.Close(m.fd), m.loop.Close()) }

// attach makes a loop device that goes when it is closed.
func attach(ctx context.Context, image string, offset, size int64) (*os.File, error) {
	file, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("make a loop device: %w", err)
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(file.Fd()), Info: unix.LoopInfo64{
		Offset: uint64(offset), Sizelimit: uint64(size), Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR,
	}}
	for {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("make a loop device: %w", err)
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) || ctx.Err() != nil { // busy: another process was faster
			return nil, fmt.Errorf("make a loop device of %s: %w", image, errors.Join(err, ctx.Err()))
		}
	}
}

// mountDetached is a descriptor of the file system of a device. A journal is not replayed, as nothing is written.
func mountDetached(device, fs string) (int, error) {
	context, err := unix.Fsopen(fs, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("this machine's kernel mounts no %s: %w", fs, err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigSetString(context, "source", device); err != nil {
		return 0, fmt.Errorf("mount %s: %w", fs, err)
	}
	flags := []string{"ro"}
	if fs == "ext4" {
		flags = append(flags, "noload")
	}
	for _, flag := range flags {
		if err := unix.FsconfigSetFlag(context, flag); err != nil {
			return 0, fmt.Errorf("mount %s with %s: %w", fs, flag, err)
		}
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return 0, fmt.Errorf("mount %s: %w%s", fs, err, contextLog(context))
	}
	fd, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return 0, fmt.Errorf("mount %s: fsmount: %w", fs, err)
	}
	return fd, nil
}

// contextLog is what the kernel says about a mount that failed; see fsopen(2).
func contextLog(context int) string {
	var said strings.Builder
	line := make([]byte, 1024)
	for {
		n, err := unix.Read(context, line)
		if err != nil || n == 0 {
			return said.String()
		}
		said.WriteString(": " + strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "e ")))
	}
}

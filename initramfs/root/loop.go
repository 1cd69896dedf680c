package root

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// loop makes a loop device of a file, read-only, which goes by itself when nobody has it open or mounted any more (loop(4)). The caller
// closes it when it is mounted. Direct I/O is off, which a tmpfs does not know.
func loop(file *os.File, probe func(string) error) (*os.File, error) {
	control, err := openLoopControl(probe)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(file.Fd())}
	config.Info.Flags = unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR
	copy(config.Info.File_name[:len(config.Info.File_name)-1], filepath.Base(file.Name()))
	for try := 0; ; try++ {
		device, err := freeLoop(control)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if err == nil {
			return device, nil
		}
		device.Close()
		// Somebody else took it in between.
		if !errors.Is(err, unix.EBUSY) || try == 10 {
			return nil, fmt.Errorf("set up the loop device %s: %w", device.Name(), err)
		}
	}
}

func openLoopControl(probe func(string) error) (*os.File, error) {
	const path = "/dev/loop-control"
	control, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		if probeErr := probe("loop"); probeErr != nil {
			return nil, fmt.Errorf("this kernel has no loop devices: %w", probeErr)
		}
		control, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("ask for a loop device: %w", err)
	}
	return control, nil
}

// nodeTime is for how long the node of a new device is waited for, which the kernel makes at once where /dev is a devtmpfs.
const nodeTime = 5 * time.Second

// freeLoop opens a loop device that is free.
func freeLoop(control *os.File) (*os.File, error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("ask for a free loop device: %w", err)
	}
	path := fmt.Sprintf("/dev/loop%d", number)
	deadline := time.Now().Add(nodeTime)
	for {
		device, err := os.OpenFile(path, os.O_RDONLY, 0)
		if err == nil {
			return device, nil
		}
		if !errors.Is(err, os.ErrNotExist) || time.Now().After(deadline) {
			return nil, fmt.Errorf("open a free loop device: %w", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// openUnseen opens a file by a copy of the mount that it is on, which nobody sees: as long as the file is open the copy lives, and the
// mount itself can be unmounted or moved (open_tree(2), OPEN_TREE_CLONE).
func openUnseen(path string) (*os.File, error) {
	dir, name := filepath.Split(path)
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, &os.PathError{Op: "open_tree", Path: dir, Err: err}
	}
	defer unix.Close(tree)
	fd, err := unix.Openat(tree, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

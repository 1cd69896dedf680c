package stay

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// groupName is the process's control group, below the root of the hierarchy.
const groupName = "boottorrent"

// Group is the process's own control group (Documentation/admin-guide/cgroup-v2.rst in the kernel's source). systemd moves what it
// finds in the root group into its own unit, init.scope, in which a process of idle priority would compete with all other units
// as much as process 1 does.
type Group struct {
	dir *os.File
	// idle is whether it has been given idle priority.
	idle bool
}

// JoinGroup makes the group and moves this process there. The hierarchy is mounted for that, where nobody sees it.
func JoinGroup() (*Group, error) {
	dir, err := openGroup()
	if err == nil {
		err = writeIn(dir, "cgroup.procs", "0") // whoever writes
	}
	if err != nil {
		return nil, fmt.Errorf("make a control group: %w", err)
	}
	return &Group{dir: dir}, nil
}

func openGroup() (*os.File, error) {
	root, err := mountGroups()
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	if err := unix.Mkdirat(root, groupName, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &os.PathError{Op: "mkdirat", Path: groupName, Err: err}
	}
	fd, err := unix.Openat(root, groupName, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: groupName, Err: err}
	}
	return os.NewFile(uintptr(fd), groupName), nil
}

// mountGroups is the root of the hierarchy, as a descriptor of a mount that has no place.
func mountGroups() (int, error) {
	fs, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen of cgroup2", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, os.NewSyscallError("fsconfig of cgroup2", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	return root, os.NewSyscallError("fsmount of cgroup2", err)
}

// BeIdle gives the group idle priority among the system's, as soon as the system has its groups compete for the processor: until then
// there is nothing to set. Kernels before 5.15 have the lowest weight instead.
func (g *Group) BeIdle() {
	if g == nil || g.idle {
		return
	}
	g.idle = writeIn(g.dir, "cpu.idle", "1") == nil || writeIn(g.dir, "cpu.weight", "1") == nil
}

// writeIn writes into a file of a control group.
func writeIn(dir *os.File, name, value string) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "openat", Path: name, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

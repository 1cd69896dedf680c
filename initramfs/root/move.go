package root

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// OpenFolder opens the folder that holds SYSTEM/PATH of the images, by a mount that is not seen by its name and so neither moves nor can be
// unmounted.
func (s Switch) OpenFolder() (*os.File, error) {
	// open_tree wants a mount; the folder is looked up in the copy.
	tree, err := unix.OpenTree(unix.AT_FDCWD, s.Systems, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, &os.PathError{Op: "open_tree", Path: s.Systems, Err: err}
	}
	defer unix.Close(tree)
	fd, err := unix.Openat(tree, s.Folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(s.Systems, s.Folder), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(s.Systems, s.Folder)), nil
}

// Own is the folder that will be the system's /run/boottorrent.
func (s Switch) Own() string { return own(s.Stage) }

// Move brings everything to where the system expects it, and makes its root file system that of this process (as switch_root(8) does). It
// is for process 1, and there is no way back: when it fails, the machine can only be restarted.
func (s Switch) Move() error {
	for _, m := range s.moves() {
		if err := m.do(); err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
	}
	return nil
}

// move is a step of Move.
type move struct {
	what string
	do   func() error
}

// moves are the steps, in order. Phase 1's own file systems stay where they are, out of the system's sight, but for /tmp: the process that
// stays removes what is in them.
func (s Switch) moves() []move {
	root, img := rootDir(s.Stage), own(s.Stage, "img")
	moves := []move{
		{"unmount /tmp", func() error { return unmountIfMounted("/tmp") }},
		// Without the group of terminals, which phase 1 has none of, no program of a user can open one (devpts.rst).
		{"unmount /dev/pts", func() error { return unmountIfMounted("/dev/pts") }},
		{"mount /dev/pts", func() error {
			return unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "gid=5,mode=620,ptmxmode=000")
		}},
		{"take the loop devices' names away", func() error { return s.forgetLoops() }},
		{"make a folder for its images", func() error { return os.MkdirAll(img, 0o755) }},
		moving(s.Systems, img),
		// What the loop devices read must not be written by the system.
		{"make its images read-only", func() error {
			return remount(img, unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC)
		}},
		moving(runDir(s.Stage), filepath.Join(root, "run")),
		moving("/dev", filepath.Join(root, "dev")),
		moving("/sys", filepath.Join(root, "sys")),
		moving("/proc", filepath.Join(root, "proc")),
	}
	if s.Cmdline {
		moves = append(moves, move{"lay its command line over /proc/cmdline", func() error { return s.coverCmdline(root) }})
	}
	return append(moves,
		move{"set the host name", func() error { return unix.Sethostname([]byte(s.Hostname)) }},
		move{"go into its root file system", func() error { return enter(root) }},
	)
}

// forgetLoops removes the device nodes of the images. systemd detaches at its end every loop device that it can open, and of these it would
// say that it can't (detach_loopback in src/shutdown/detach-loopback.c); nobody else has a use for them either.
func (s Switch) forgetLoops() error {
	for _, device := range s.Loops {
		if err := os.Remove(device); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func moving(from, to string) move {
	return move{fmt.Sprintf("move %s to %s", from, to), func() error { return unix.Mount(from, to, "", unix.MS_MOVE, "") }}
}

func unmountIfMounted(target string) error {
	err := unix.Unmount(target, unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // nothing is mounted there
	}
	return err
}

// coverCmdline has the system read its own command line: what is the kernel's may be phase 1's.
func (s Switch) coverCmdline(root string) error {
	source, target := filepath.Join(root, "run/boottorrent/cmdline"), filepath.Join(root, "proc/cmdline")
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return remount(target, unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC)
}

// enter makes a mount the root of this process, over the one there was.
func enter(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

// Environment is what a system's init finds: what the kernel gives to the first program (kernel/init in init/main.c of Linux), and, for
// scripts of container images, where programs are.
func Environment() []string {
	return []string{"HOME=/", "TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
}

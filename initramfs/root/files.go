package root

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/inroot"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
)

// layFiles lays the machine's files over a root file system that is mounted in a folder. Its links count on the way to a file, and lead out of
// it nowhere; a link that has the name of a file is replaced. Folders that the system has keep their owners and permissions.
func layFiles(dir string, files *machinefiles.Tree) error {
	if files.Len() == 0 {
		return nil
	}
	in, err := inroot.Open(dir)
	if err != nil {
		return err
	}
	defer in.Close()
	for _, e := range files.Entries() {
		err := layEntry(in, e)
		if errors.Is(err, unix.ENOSPC) {
			err = fmt.Errorf("%w: the system may not write more; raise writable_limit: in its config.yaml", err)
		}
		if err != nil {
			return fmt.Errorf("lay this machine's files over it: %q: %w", "/"+e.Name, err)
		}
	}
	return nil
}

func layEntry(in *inroot.FS, e *machinefiles.Entry) error {
	if e.Is(machinefiles.Folder) {
		if there, err := in.OpenFolder(e.Name); err == nil {
			return there.Close()
		}
	}
	above, err := in.OpenFolder(path.Dir(e.Name))
	if err != nil {
		return err
	}
	defer above.Close()
	at, name := int(above.Fd()), path.Base(e.Name)
	if err := removeAt(at, name); err != nil {
		return err
	}
	switch e.Mode & machinefiles.TypeMask {
	case machinefiles.Folder:
		err = unix.Mkdirat(at, name, 0o700)
	case machinefiles.Link:
		err = unix.Symlinkat(string(e.Content), at, name)
	default:
		err = writeAt(at, name, e.Content)
	}
	if err != nil {
		return err
	}
	return describeAt(at, name, e)
}

// removeAt removes what has a name in a folder, but for a folder that is not empty: that is nothing that somebody meant to be rid of.
func removeAt(at int, name string) error {
	err := unix.Unlinkat(at, name, 0)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.ENOTEMPTY):
		return errors.New("the system has a folder of that name with files in it, and the site a file or a link; make that a folder, or give it another name")
	}
	return err
}

func writeAt(at int, name string, content []byte) error {
	fd, err := unix.Openat(at, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// describeAt sets owner, permissions and time of what was just made. The owner comes first: to change it takes the set-user-ID bit away.
func describeAt(at int, name string, e *machinefiles.Entry) error {
	if err := unix.Fchownat(at, name, int(e.UID), int(e.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if !e.Is(machinefiles.Link) {
		if err := unix.Fchmodat(at, name, e.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	time := unix.Timespec{Sec: int64(e.Time)}
	return unix.UtimesNanoAt(at, name, []unix.Timespec{time, time}, unix.AT_SYMLINK_NOFOLLOW)
}

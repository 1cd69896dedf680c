package promote

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
)

// unpack makes a folder of files for machines of an archive, and returns an error unless the site's reader would make the same archive of it.
func unpack(dir string, f catalog.Files, archive []byte) error {
	tree, err := machinefiles.Verify(f, archive)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Dir(dir), &st); err != nil {
		return err
	}
	owner := machinefiles.Owner{UID: st.Uid, GID: st.Gid}
	entries := tree.Entries()
	for _, e := range entries {
		if err := write(dir, e); err != nil {
			return err
		}
	}
	for _, e := range slices.Backward(entries) { // what is in a folder changes its time
		if err := finish(dir, e, owner); err != nil {
			return err
		}
	}
	read, problems := machinefiles.Read(dir, owner)
	if len(problems) > 0 {
		return fmt.Errorf("the files for %s can't be read as they were written: %s %s", f.For, problems[0].Name, problems[0].What)
	}
	again, err := read.Encode()
	if err == nil && !bytes.Equal(again, archive) {
		err = fmt.Errorf("the files for %s can't be written so that they are the same; run this as root, for their owners", f.For)
	}
	return err
}

// at is where an entry is in a folder.
func at(dir string, e *machinefiles.Entry) string {
	return filepath.Join(dir, filepath.FromSlash(e.Source()))
}

func write(dir string, e *machinefiles.Entry) error {
	switch {
	case e.Is(machinefiles.Folder):
		return os.Mkdir(at(dir, e), 0o700)
	case e.Is(machinefiles.Link):
		return os.Symlink(string(e.Content), at(dir, e))
	}
	return os.WriteFile(at(dir, e), e.Content, 0o600)
}

// finish gives an entry its owner, permissions and time. owner is who counts as the super-user.
func finish(dir string, e *machinefiles.Entry, owner machinefiles.Owner) error {
	uid, gid := e.UID, e.GID
	if uid == 0 {
		uid = owner.UID
	}
	if gid == 0 {
		gid = owner.GID
	}
	path := at(dir, e)
	err := os.Lchown(path, int(uid), int(gid))
	if errors.Is(err, os.ErrPermission) {
		err = nil // what has come out is compared
	}
	if err == nil && !e.Is(machinefiles.Link) {
		err = unix.Chmod(path, e.Mode&0o7777)
	}
	if err != nil {
		return err
	}
	when := unix.NsecToTimespec(time.Unix(int64(e.Time), 0).UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW)
}

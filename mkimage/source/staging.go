package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// stagingPrefix begins the names of folders in oss/ in which systems are made. Seeders leave alone what begins with a dot.
const stagingPrefix = ".import-"

// tempDir is in a staging folder, beside the systems: no system can have that name.
const tempDir = ".temp"

// replacedDir is in tempDir. It has the system that is being replaced, while the new one is not in its place yet.
const replacedDir = "replaced"

// staging is a folder beside the systems of a site, and so on their file system. It is locked (flock) as long as the import lives: what
// is not locked was left behind by one that was killed.
type staging struct {
	oss, dir string
	lock     *os.File
}

// newStaging makes a staging folder in oss, and removes those that were left behind.
func newStaging(oss string) (*staging, error) {
	sweep(oss)
	for {
		dir, err := os.MkdirTemp(oss, stagingPrefix)
		if err != nil {
			return nil, fmt.Errorf("make a folder for the new system: %w", err)
		}
		lock, err := lockFolder(dir)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
			continue // another import took it for one that was left behind
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock the folder for the new system: %w", err), os.Remove(dir))
		}
		s := &staging{oss, dir, lock}
		if err := os.Mkdir(filepath.Join(dir, tempDir), 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("make a folder for the new system: %w", err), s.remove())
		}
		return s, nil
	}
}

// lockFolder locks a folder until the file it returns is closed. The folder is still there.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		_, err = os.Lstat(dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sweep removes the staging folders of imports that were killed, once a system that such an import was replacing is back in its place.
// What can't be removed stays: it is in nobody's way.
func sweep(oss string) {
	entries, err := os.ReadDir(oss)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), stagingPrefix) {
			continue
		}
		dir := filepath.Join(oss, e.Name())
		if lock, err := lockFolder(dir); err == nil {
			if putBack(oss, dir) == nil {
				_ = removeAll(dir)
			}
			lock.Close()
		}
	}
}

// putBack moves the system that an import was replacing when it was killed back to its place, unless the new one is there.
func putBack(oss, dir string) error {
	replaced := filepath.Join(dir, tempDir, replacedDir)
	entries, err := os.ReadDir(replaced)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		target := filepath.Join(oss, e.Name())
		if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Rename(filepath.Join(replaced, e.Name()), target); err != nil {
			return err
		}
	}
	return err
}

// remove removes the folder with all that is left in it.
func (s *staging) remove() error {
	err := removeAll(s.dir)
	return errors.Join(err, s.lock.Close())
}

// removeAll is os.RemoveAll, also of folders that their owner may not write to.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	return os.RemoveAll(dir)
}

// sync returns when all that was written is on the disk.
func (s *staging) sync() error {
	if err := unix.Syncfs(int(s.lock.Fd())); err != nil {
		return fmt.Errorf("write to the disk: syncfs %s: %w", s.oss, err)
	}
	return nil
}

// place moves a system into oss. What has its name already is exchanged with it, if it may be, and goes with the staging folder. It
// returns how to undo that.
func (s *staging) place(name string, replace bool) (undo func() error, err error) {
	made, target := filepath.Join(s.dir, name), filepath.Join(s.oss, name)
	err = unix.Renameat2(unix.AT_FDCWD, made, unix.AT_FDCWD, target, unix.RENAME_NOREPLACE)
	switch {
	case err == nil:
		return func() error { return os.Rename(target, made) }, nil
	case errors.Is(err, unix.EEXIST) && replace:
		return s.exchange(target, made)
	case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS):
		return s.placeSimply(target, made, replace)
	case errors.Is(err, unix.EEXIST):
		return nil, existsError(target)
	}
	return nil, fmt.Errorf("move the new system to %s: %w", target, err)
}

// exchange swaps two folders at once. The target comes first: then the last that a seeder hears of is that a system has come.
func (s *staging) exchange(target, made string) (undo func() error, err error) {
	swap := func() error {
		return unix.Renameat2(unix.AT_FDCWD, target, unix.AT_FDCWD, made, unix.RENAME_EXCHANGE)
	}
	if err := swap(); err != nil {
		return nil, fmt.Errorf("replace %s: %w", target, err)
	}
	return swap, nil
}

// placeSimply is for file systems without renameat2's flags (NFS): for a moment there is neither. Should the import be killed then, the
// next one puts the old system back.
func (s *staging) placeSimply(target, made string, replace bool) (undo func() error, err error) {
	replaced := filepath.Join(s.dir, tempDir, replacedDir)
	old := filepath.Join(replaced, filepath.Base(target))
	restore := func() error { return nil }
	if _, err := os.Lstat(target); err == nil {
		if !replace {
			return nil, existsError(target)
		}
		if err := errors.Join(os.MkdirAll(replaced, 0o700), os.Rename(target, old)); err != nil {
			return nil, fmt.Errorf("move the old system out of the way: %w", err)
		}
		restore = func() error { return os.Rename(old, target) }
	}
	if err := os.Rename(made, target); err != nil {
		return nil, errors.Join(fmt.Errorf("move the new system to %s: %w", target, err), restore())
	}
	return func() error { return errors.Join(os.Rename(target, made), restore()) }, nil
}

func existsError(target string) error {
	return fmt.Errorf("%s is there already; name another folder, or replace it: --replace", target)
}

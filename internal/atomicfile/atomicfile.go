// Package atomicfile writes files that are there whole or not at all, also when power fails meanwhile. It is renameio with the two
// things that would have to be repeated at each call: the temporary file lies beside the other one, where there is room if there is
// room at all, and what was renamed is on the disk when a call returns.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Write gives a file a content and permissions, whatever the umask and those of a file that was there before.
func Write(path string, content []byte, perm fs.FileMode) error {
	f, err := Begin(path, perm)
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return Finish(path, f)
}

// Begin opens a temporary file beside path, for what can't be written in one go. It is the caller's to call Cleanup, which does
// nothing after [Finish].
func Begin(path string, perm fs.FileMode) (*renameio.PendingFile, error) {
	return renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(perm))
}

// Finish moves what Begin opened for path there.
func Finish(path string, f *renameio.PendingFile) error {
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// SyncFolder returns when what was made, renamed and removed in a folder is on the disk (fsync(2) speaks of the file alone).
func SyncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// quiet is how long nothing must happen before a change counts as finished: files are copied in many writes.
const quiet = 300 * time.Millisecond

// Watch calls changed whenever boottorrent.yaml (of an original site, Boottorrent.yaml), anything below oss/, or what of the image
// nodes get by torrent (qemuruntime.ImageModules) was changed in the site dir and has then been left alone for 300 ms. Folders made later are watched too; those of oss/ that begin with a dot are not. Calls don't
// overlap; what happens during one leads to another. Watch returns nil when ctx is done, else why it can't go on.
func Watch(ctx context.Context, dir string, changed func()) error {
	return watch(ctx, dir, quiet, changed)
}

func watch(ctx context.Context, dir string, quiet time.Duration, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return watchError(dir, err)
	}
	defer w.Close()
	t := &tree{watcher: w, dir: filepath.Clean(dir)}
	if err := t.addAll(); err != nil {
		return watchError(dir, err)
	}
	timer := time.NewTimer(quiet)
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-w.Events:
			concerns, err := t.follow(event)
			if err != nil {
				return watchError(dir, err)
			}
			if concerns {
				timer.Reset(quiet)
			}
		case err := <-w.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return watchError(dir, err)
			}
			// Events were lost, folders may be among them.
			if err := t.addAll(); err != nil {
				return watchError(dir, err)
			}
			timer.Reset(quiet)
		case <-timer.C:
			changed()
		}
	}
}

func watchError(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("watch %s: %w; raise the limits: sysctl fs.inotify.max_user_watches fs.inotify.max_user_instances", dir, err)
	}
	return fmt.Errorf("watch %s: %w; changes will be seen after a restart only", dir, err)
}

// tree is the part of a site that is watched: inotify watches single folders.
type tree struct {
	watcher *fsnotify.Watcher
	dir     string
}

func (t *tree) systems() string { return filepath.Join(t.dir, SystemsDir) }

// addAll watches the site's own folder, for boottorrent.yaml and the other folders themselves, the image's, and everything
// below oss/.
func (t *tree) addAll() error {
	if err := t.watcher.Add(t.dir); err != nil {
		return err
	}
	if err := ignoreGone(t.watcher.Add(t.image())); err != nil {
		return err
	}
	return t.add(t.systems())
}

func (t *tree) image() string { return filepath.Join(t.dir, ImageDir) }

// add watches a folder and those in it, except what is gone by now. The folder is watched before it is read, so that
// nothing made in between is missed.
func (t *tree) add(dir string) error {
	if err := t.watcher.Add(dir); err != nil {
		return ignoreGone(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreGone(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !t.isFolder(path) {
			continue
		}
		if err := t.add(path); err != nil {
			return err
		}
	}
	return nil
}

// isFolder reports whether path is a folder to watch. A symbolic link counts only directly below oss/: a system's
// folder may be elsewhere, but no file of a system is outside of its folder.
func (t *tree) isFolder(path string) bool {
	top := filepath.Dir(path) == t.systems()
	if top && strings.HasPrefix(filepath.Base(path), ".") {
		return false
	}
	info, err := os.Lstat(path)
	if err == nil && top && info.Mode()&fs.ModeSymlink != 0 {
		info, err = os.Stat(path)
	}
	return err == nil && info.IsDir()
}

// follow watches a folder that an event made known, and reports whether the event concerns the site.
func (t *tree) follow(event fsnotify.Event) (concerns bool, err error) {
	path := filepath.Clean(event.Name)
	inside := path == t.systems() || strings.HasPrefix(path, t.systems()+string(filepath.Separator))
	if path == t.image() && event.Has(fsnotify.Create) {
		return true, ignoreGone(t.watcher.Add(path))
	}
	if !inside {
		return slices.Contains([]string{filepath.Join(t.dir, ConfigFile), filepath.Join(t.dir, OriginalFile),
			filepath.Join(t.image(), qemuruntime.ImageModules)}, path), nil
	}
	if event.Has(fsnotify.Create) && t.isFolder(path) {
		return true, t.add(path)
	}
	return true, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EACCES) {
		return nil
	}
	return err
}

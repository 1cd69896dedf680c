package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
)

// tree is the part of a site that is watched: inotify watches single folders. Where a system's name is asked for, a folder of files for machines has
// that of [FilesOf].
type tree struct {
	notifier *notifier
	dir      string
	log      *slog.Logger
	// unwatched are systems with more folders than can be watched, which costs nobody else: their changes are not seen.
	unwatched map[string]bool
	// limit is how many folders of one system are watched: what the kernel lets a user watch is for all systems.
	limit int
}

// maxFolders is less than fs.inotify.max_user_watches is on any machine (8192 and more, inotify(7)).
const maxFolders = 5000

func newTree(n *notifier, dir string, log *slog.Logger) *tree {
	return &tree{notifier: n, dir: filepath.Clean(dir), log: log, unwatched: map[string]bool{}, limit: maxFolders}
}

// FilesOf is how a folder of files for machines is called where systems are called by their names, none of which has a slash in it.
func FilesOf(name string) string { return filesPrefix + name }

const filesPrefix = site.FilesDir + "/"

func (t *tree) systems() string { return filepath.Join(t.dir, site.SystemsDir) }
func (t *tree) files() string   { return filepath.Join(t.dir, site.FilesDir) }
func (t *tree) image() string   { return filepath.Join(t.dir, site.ImageDir) }

func (t *tree) system(name string) string {
	if folder, ok := strings.CutPrefix(name, filesPrefix); ok {
		return filepath.Join(t.files(), folder)
	}
	return filepath.Join(t.systems(), name)
}

// names are those of the folders in oss/ and files/.
func (t *tree) names() map[string]bool {
	names := map[string]bool{}
	for dir, prefix := range map[string]string{t.systems(): "", t.files(): filesPrefix} {
		entries, _ := os.ReadDir(dir) // one that can't be read has none; the site's reader says so
		for _, e := range entries {
			if name := prefix + e.Name(); t.isSystem(name) {
				names[name] = true
			}
		}
	}
	return names
}

// isSystem reports whether what has that name in oss/ is a folder that may be a system's. Links in files/ are none.
func (t *tree) isSystem(name string) bool {
	if folder, ok := strings.CutPrefix(name, filesPrefix); ok {
		info, err := os.Lstat(t.system(name))
		return err == nil && info.IsDir() && !hidden(folder)
	}
	return !hidden(name) && isDir(t.system(name)) && !site.LeadsToSite(t.dir, name)
}

// belongs is what belongs to a system, by its path in the folder: of files for machines all does.
func belongs(name string) func(path string) bool {
	if strings.HasPrefix(name, filesPrefix) {
		return func(string) bool { return true }
	}
	return site.Belongs
}

// systemOf returns the system that a path belongs to, or Site for the site's own files; concerns is false if it is of no importance.
func (t *tree) systemOf(path string) (name string, concerns bool) {
	switch {
	case path == t.systems() || path == t.files():
		return Site, true
	case inside(path, t.files()):
		below, _ := filepath.Rel(t.files(), path)
		folder, _, _ := strings.Cut(below, string(filepath.Separator))
		return FilesOf(folder), !hidden(folder)
	case !inside(path, t.systems()):
		return Site, slices.Contains(ownFiles(t.dir), path) || path == t.image()
	}
	below, _ := filepath.Rel(t.systems(), path)
	name, file, _ := strings.Cut(below, string(filepath.Separator))
	return name, !hidden(name) && (file == "" || site.Belongs(file))
}

// addAll watches the site's own folder, for boottorrent.yaml and the other folders themselves, the image's, and everything
// below oss/ and files/.
func (t *tree) addAll() error {
	if err := t.notifier.add(t.dir); err != nil {
		return err
	}
	for _, dir := range []string{t.image(), t.systems(), t.files()} {
		if err := ignoreGone(t.notifier.add(dir)); err != nil {
			return err
		}
	}
	for name := range t.names() {
		t.addTo(name, t.system(name))
	}
	return nil
}

// addTo watches a folder of a system, and those in it. A system that has more folders than the kernel lets us watch is not watched at all, so that the
// others are.
func (t *tree) addTo(name, dir string) {
	left := t.limit
	err := t.add(dir, belongs(name), &left)
	if err == nil {
		return
	}
	t.notifier.remove(t.system(name))
	if !t.unwatched[name] {
		t.unwatched[name] = true
		t.log.Warn("changes of a system are not noticed; say '"+self.Seeder()+" publish' when there are any", "system", name, "err", err)
	}
}

// add watches a folder and those in it, except what is gone by now and what doesn't belong to a system. The folder is watched before
// it is read, so that nothing made in between is missed. left is how many more there may be.
func (t *tree) add(dir string, belongs func(path string) bool, left *int) error {
	if *left--; *left < 0 {
		return fmt.Errorf("it has more than %d folders: %w", t.limit, syscall.ENOSPC)
	}
	if err := t.notifier.add(dir); err != nil {
		return ignoreGone(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreGone(err)
	}
	for _, e := range entries {
		if !e.IsDir() || !belongs(e.Name()) {
			continue
		}
		if err := t.add(filepath.Join(dir, e.Name()), belongs, left); err != nil {
			return err
		}
	}
	return nil
}

// follow watches a folder that an event made known, and no longer one that is gone. A system's folder may be a link to where there is
// room; no file of a system is outside of its folder.
func (t *tree) follow(e event) error {
	if e.has(unix.IN_MOVED_FROM|unix.IN_DELETE) && e.has(unix.IN_ISDIR) || e.has(unix.IN_MOVED_FROM|unix.IN_DELETE) && filepath.Dir(e.path) == t.systems() {
		t.notifier.remove(e.path)
		return nil
	}
	if !e.has(unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ATTRIB) {
		return nil
	}
	switch {
	case e.path == t.systems() || e.path == t.files():
		return t.addAll()
	case e.path == t.image():
		return ignoreGone(t.notifier.add(e.path))
	case !inside(e.path, t.systems()) && !inside(e.path, t.files()):
		return nil
	}
	name, concerns := t.systemOf(e.path)
	top := e.path == t.system(name)
	if concerns && (top && t.isSystem(name) || !top && e.has(unix.IN_ISDIR)) {
		t.addTo(name, e.path)
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ELOOP) {
		return nil
	}
	return err
}

// Package watch tells when the systems of a site, and its files for machines, have changed and are at rest: nothing has happened in a folder for some
// seconds, and none of its files is open for writing. In go the events of inotify(7); out come names. What is being written delays its
// own system only.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/diskmodules"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
)

const (
	// Quiet is how long nothing must happen in a system's folder before it counts as finished: programs that copy pause.
	Quiet = 3 * time.Second
	// settle is the same for boottorrent.yaml and what else is the site's own: editors write it at once.
	settle = 300 * time.Millisecond
)

// Watcher watches a site from the moment that [New] made it.
type Watcher struct {
	tree *tree
	log  *slog.Logger
	now  func() time.Time
	// changed has room for one: what happens while nobody takes it is told of as one.
	changed chan struct{}
	// wake ends the waiting of Run, as there is something to wait for earlier.
	wake chan struct{}

	mu   sync.Mutex
	rest *rest
}

// New watches the site in dir: its configuration, everything below oss/ that may belong to a system, files for machines, and what of the image nodes get
// by torrent. Systems that were written shortly before, or are just being written, count as not at rest from the beginning. quiet
// is [Quiet] if zero. The caller runs the watcher. With an error, which says what to do, it is of use all the same, but sees no changes.
func New(dir string, quiet time.Duration, log *slog.Logger) (*Watcher, error) {
	if quiet == 0 {
		quiet = Quiet
	}
	w := &Watcher{
		tree: newTree(nil, dir, log), log: log, now: time.Now, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	w.rest = &rest{
		quiet: quiet, settle: min(settle, quiet), open: opennessOf, restless: map[string]*restless{},
		openFile: func(system string) string {
			if !w.tree.isSystem(system) {
				return ""
			}
			return openFile(w.tree.system(system), belongs(system))
		},
	}
	defer w.findRestless()
	n, err := newNotifier()
	if err != nil {
		return w, explain(dir, err)
	}
	w.tree.notifier = n
	if err := w.tree.addAll(); err != nil {
		w.tree.notifier = nil
		return w, errors.Join(explain(dir, err), n.close())
	}
	return w, nil
}

func explain(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("watch %s: %w; raise the limits: sysctl fs.inotify.max_user_watches fs.inotify.max_user_instances", dir, err)
	}
	return fmt.Errorf("watch %s: %w; changes will be seen after a restart only", dir, err)
}

// Changed is sent to when something has changed and is at rest again.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Restless are the systems that are not at rest, and since when. What was changed in them is told of later.
func (w *Watcher) Restless() map[string]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := map[string]time.Time{}
	for name, s := range w.rest.restless {
		if name != Site {
			names[name] = s.since
		}
	}
	return names
}

// Settling reports whether a system that is not at rest may come to rest before long: nobody is known to go on writing.
func (w *Watcher) Settling() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rest.settling(w.now())
}

// OpenFile returns a file of a system's that somebody has open for writing, as far as the kernel tells; empty if there is none.
func (w *Watcher) OpenFile(system string) string { return w.rest.openFile(system) }

// Settle makes a system count as at rest, whatever has happened to it.
func (w *Watcher) Settle(system string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.rest.restless, system)
}

// Touch makes a system count as not at rest for as long as if something had happened to it now.
func (w *Watcher) Touch(system string) {
	w.mu.Lock()
	w.rest.touch(system, w.now())
	w.mu.Unlock()
	w.hurry()
}

func (w *Watcher) hurry() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run watches until ctx ends, which is no error.
func (w *Watcher) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	if w.tree.notifier != nil {
		go func() { ended <- w.readEvents() }()
		defer w.tree.notifier.close()
	}
	timer := time.NewTimer(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return explain(w.tree.dir, err)
		case <-w.wake:
		case <-timer.C:
			w.settle()
		}
		w.mu.Lock()
		next := w.rest.next()
		w.mu.Unlock()
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(0, next.Sub(w.now())))
		}
	}
}

// settle tells of what has come to rest.
func (w *Watcher) settle() {
	w.mu.Lock()
	names := w.rest.settled(w.now())
	w.mu.Unlock()
	if len(names) > 0 {
		w.tell()
	}
}

func (w *Watcher) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// readEvents takes what the kernel tells until the notifier is closed.
func (w *Watcher) readEvents() error {
	for {
		events, err := w.tree.notifier.read()
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := w.take(e); err != nil {
				return err
			}
		}
		w.hurry()
	}
}

// take notes what an event means for the system whose file it is about.
func (w *Watcher) take(e event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if e.has(unix.IN_Q_OVERFLOW) {
		w.touchAll(now)
		w.rest.touch(Site, now)
		return w.tree.addAll()
	}
	system, concerns := w.tree.systemOf(e.path)
	if err := w.tree.follow(e); err != nil || !concerns {
		return err
	}
	switch {
	case system == Site:
		w.rest.touch(Site, now)
		if e.has(unix.IN_CREATE|unix.IN_MOVED_TO) && (e.path == w.tree.systems() || e.path == w.tree.files()) {
			w.touchAll(now) // what is in it already may be being written
		}
	case e.has(unix.IN_MODIFY), e.has(unix.IN_CREATE) && isNew(e.path):
		w.rest.written(system, e.path, now)
	case e.has(unix.IN_CLOSE_WRITE | unix.IN_DELETE):
		w.rest.closed(system, e.path, now)
	case e.has(unix.IN_MOVED_FROM):
		w.rest.movedFrom(system, e.path, e.cookie, now)
	case e.has(unix.IN_MOVED_TO):
		w.rest.movedTo(system, e.path, e.cookie, now)
	default:
		w.rest.touch(system, now)
	}
	return nil
}

func (w *Watcher) touchAll(now time.Time) {
	for name := range w.tree.names() {
		w.rest.touch(name, now)
	}
}

// isNew reports whether a file has just been made to be written, as opposed to one that got another name.
func isNew(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1
}

// findRestless looks for systems that are being written, or were until shortly.
func (w *Watcher) findRestless() {
	now := w.now()
	for name := range w.tree.names() {
		dir := w.tree.system(name)
		if path := openFile(dir, belongs(name)); path != "" || recent(dir, belongs(name), now, w.rest.quiet) {
			w.rest.touch(name, now)
		}
	}
}

// recent reports whether anything in a folder was changed less than quiet ago. Files from the future tell nothing.
func recent(dir string, belongs func(path string) bool, now time.Time, quiet time.Duration) (found bool) {
	_ = eachFile(dir, belongs, func(path string, d fs.DirEntry) error {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return nil
		}
		if age := now.Sub(time.Unix(st.Ctim.Unix())); age >= 0 && age < quiet {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// ownFiles are the files of the site itself that are watched.
func ownFiles(dir string) []string {
	return []string{
		filepath.Join(dir, site.ConfigFile), filepath.Join(dir, site.OriginalFile), filepath.Join(dir, site.PublicKeyFile),
		filepath.Join(dir, site.SecretKeyFile), filepath.Join(dir, site.ImageDir, qemuruntime.ImageModules),
		filepath.Join(dir, site.ImageDir, diskmodules.Archive),
		filepath.Join(dir, site.ImageDir, image.Kernel), filepath.Join(dir, site.ImageDir, image.Initramfs),
	}
}

// hidden are folders of oss/ that are left alone.
func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// isDir reports whether path is a folder; a link to one counts.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
